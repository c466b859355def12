//! Seeded random bytes into every decoder of this room: no panic, no endless loop.

use super::authentication::ServerLogin;
use super::capability::{DEPRECATE_EOF, OFFERED, SESSION_TRACK};
use super::column::ColumnDefinition;
use super::command::Command;
use super::execute::Execute;
use super::greeting::Greeting;
use super::login::{FirstPacket, Login};
use super::packet::Whole;
use super::reply::{EofPacket, ErrPacket, OkPacket};
use super::response::{Answer, Scanner, Step};
use super::row::{split_binary, split_text};
use super::session_state::Changes;

/// A small generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.next() % 80;
        // Small values and the special ones are what lengths and first bytes are made of.
        let pick = |n: u64| match n % 4 {
            0 => (n >> 8) as u8 % 12,
            1 => 0xfb + (n >> 8) as u8 % 5,
            _ => (n >> 8) as u8,
        };
        (0..length).map(|_| pick(self.next())).collect()
    }
}

#[test]
fn no_decoder_panics() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut fields = Vec::new();
    for _ in 0..60_000 {
        let bytes = random.bytes();
        let types: Vec<u8> = bytes.iter().rev().take(8).copied().collect();
        let _ = Whole::find(&bytes, 0, 1 << 20).map(|whole| whole.map(|w| w.payload(&bytes).len()));
        let _ = Greeting::decode(&bytes);
        let _ = FirstPacket::decode(&bytes);
        let _ = Login::decode_change_user(&bytes, OFFERED);
        let _ = Command::decode(&bytes);
        let _ = ColumnDefinition::decode(&bytes);
        let _ = OkPacket::decode(&bytes, SESSION_TRACK);
        let _ = OkPacket::decode(&bytes, 0);
        let _ = EofPacket::decode(&bytes);
        let _ = ErrPacket::decode(&bytes);
        let _ = split_text(&bytes, types.len(), &mut fields);
        let _ = split_binary(&bytes, &types, &mut fields);
        assert!(Changes::new(&bytes).count() <= bytes.len());
        if let Ok(execute) = Execute::decode(&bytes, types.len() / 2) {
            let _ = execute.parameters(&types, |_| None);
        }
        let _ = ServerLogin::new(b"pw", b"caching_sha2_password", [1; 20], false).on_packet(&bytes);
    }
}

#[test]
fn no_scanner_panics_or_loops() {
    let mut random = Random(77);
    let answers = [
        Answer::Query,
        Answer::Execute,
        Answer::StatementPrepare,
        Answer::Fetch,
        Answer::FieldList,
        Answer::Statistics,
        Answer::Simple,
    ];
    for round in 0..60_000 {
        let mut bytes = random.bytes();
        // Make some headers short enough that packets end inside the bytes.
        for at in (0..bytes.len()).step_by(9) {
            for (offset, value) in [5, 0, 0].into_iter().enumerate() {
                if let Some(byte) = bytes.get_mut(at + offset) {
                    *byte = value;
                }
            }
        }
        let capabilities = if round % 2 == 0 { DEPRECATE_EOF } else { SESSION_TRACK };
        let mut scanner = Scanner::new(answers[round % answers.len()], capabilities);
        let mut rest = &mut bytes[..];
        while let Ok(Step::Pass(length) | Step::Packet { length, .. }) = scanner.next(rest) {
            assert!(length > 0);
            rest = &mut rest[length..];
            scanner.infile_sent();
        }
    }
}
