//! Full authentication of caching_sha2_password, for users of whom only a verifier is known: the client sends the
//! password itself, by TLS as it is, else encrypted with our key.
//! Out: the check of it (`passwords`), every other proof (`login`).

use std::sync::Arc;

use protocol::mysql::authentication::{FULL_WANTED, KEY_REQUEST, put_public_key};
use protocol::mysql::greeting::SCRAMBLE;
use protocol::mysql::packet::put_packet_with;

use super::client::{Client, ReadError};
use super::login::{LOGIN_BYTES_MAX, LoginEnd};
use crate::config::Secret;
use crate::error_code::MeshError;
use crate::mysql::passwords::{ENCRYPTED, Passwords};

/// Asks for the user's password and checks it; `sequence` becomes that of the next packet to the client.
/// The inner error is for the client.
///
/// # Errors
/// The client broke off.
pub async fn is_proven_in_full(
    passwords: &Arc<Passwords>,
    client: &mut Client,
    user: &str,
    stored: &Secret,
    challenge: &[u8; SCRAMBLE],
    sequence: &mut u8,
) -> Result<Result<bool, MeshError>, LoginEnd> {
    *sequence = put_packet_with(&mut client.output, *sequence, |out| out.extend_from_slice(&FULL_WANTED));
    let mut said = match reply(client, sequence).await? {
        Ok(said) => said,
        Err(error) => return Ok(Err(error)),
    };
    if !client.stream().is_encrypted() {
        if said == KEY_REQUEST {
            let Some(key) = passwords.public_key().await else {
                return Ok(Err(MeshError::Internal("no key can be made".to_owned())));
            };
            *sequence = put_packet_with(&mut client.output, *sequence, |out| put_public_key(out, &key));
            said = match reply(client, sequence).await? {
                Ok(said) => said,
                Err(error) => return Ok(Err(error)),
            };
        }
        // Whatever else it sends is no password: never one in the clear, which others could have read.
        if said.len() != ENCRYPTED {
            return Ok(Ok(false));
        }
        said = passwords.decrypt(said).await.unwrap_or_default();
        for (byte, mask) in said.iter_mut().zip(challenge.iter().cycle()) {
            *byte ^= mask;
        }
    }
    let Some((0, password)) = said.split_last() else { return Ok(Ok(false)) };
    Ok(Ok(passwords.is_right(user, stored, password.to_vec()).await))
}

/// Sends what waits to be sent and reads the client's next packet of the login.
///
/// # Errors
/// The client broke off.
pub async fn reply(client: &mut Client, sequence: &mut u8) -> Result<Result<Vec<u8>, MeshError>, LoginEnd> {
    client.flush().await?;
    let read = client.read_packet(*sequence, LOGIN_BYTES_MAX).await;
    *sequence = sequence.wrapping_add(1);
    match read {
        Ok(whole) => {
            let said = whole.payload(&client.input).into_owned();
            client.consume(whole.wire_length);
            Ok(Ok(said))
        }
        Err(ReadError::Wire(error)) => Ok(Err(MeshError::Protocol(error.to_string()))),
        Err(error) => Err(error.into()),
    }
}
