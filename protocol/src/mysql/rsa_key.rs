//! Encryption with the public key that a server sends for caching_sha2_password without TLS.
//! The library's own key parser panics on malformed keys, so the key is checked strictly before it gets there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Encrypts `message` (OAEP) with a PEM key; `None` if the key is not a plain RSA key of 1024 to 8192 bits or too
/// short for the message.
#[must_use]
pub fn encrypt(pem: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (begin, end) = if text.contains("-----BEGIN RSA PUBLIC KEY-----") {
        return None; // servers send SubjectPublicKeyInfo
    } else {
        ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
    };
    let body: String = text.split_once(begin)?.1.split_once(end)?.0.split_ascii_whitespace().collect();
    let der = STANDARD.decode(&body).ok()?;
    let modulus_bytes = modulus_length(&der)?;
    // OAEP with SHA-1 takes 42 bytes.
    if !(128..=1024).contains(&modulus_bytes) || message.len() > modulus_bytes - 42 {
        return None;
    }
    let clean = format!("{begin}{body}{end}");
    Some(mysql_common::crypto::encrypt(message, clean.as_bytes()))
}

/// Walks SubjectPublicKeyInfo down to the modulus; `None` on any deviation.
fn modulus_length(der: &[u8]) -> Option<usize> {
    let (info, rest) = element(der, 0x30)?;
    let (_algorithm, bits) = element(info, 0x30)?;
    let (bits, after_bits) = element(bits, 0x03)?;
    let (unused, key) = bits.split_first()?;
    let (fields, after_fields) = element(key, 0x30)?;
    let (modulus, exponent) = element(fields, 0x02)?;
    let (exponent, after) = element(exponent, 0x02)?;
    let clean = *unused == 0 && rest.is_empty() && after_bits.is_empty() && after_fields.is_empty() && after.is_empty();
    let odd = |n: &[u8]| n.last().is_some_and(|b| b & 1 == 1);
    if !clean || !odd(modulus) || !odd(exponent) || exponent.len() > 5 {
        return None;
    }
    Some(modulus.iter().skip_while(|b| **b == 0).count())
}

/// The content of a DER element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    if found != tag {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), rest.get(2..)?),
        _ => return None,
    };
    Some((rest.get(..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, 0x82];
        out.extend_from_slice(&(content.len() as u16).to_be_bytes());
        out.extend_from_slice(content);
        out
    }

    fn key(modulus: &[u8], exponent: &[u8]) -> String {
        let fields = [der(2, modulus), der(2, exponent)].concat();
        let bits = [vec![0], der(0x30, &fields)].concat();
        let info = [der(0x30, b"\x06\x01\x2a"), der(3, &bits)].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der(0x30, &info)))
    }

    #[test]
    fn a_well_formed_key_encrypts_to_its_own_length() {
        let mut modulus = vec![0xc5; 256];
        modulus[255] = 0x11;
        let secret = encrypt(key(&modulus, &[1, 0, 1]).as_bytes(), b"password\0").expect("usable key");
        assert_eq!(secret.len(), 256);
    }

    #[test]
    fn malformed_keys_are_refused_without_a_panic() {
        assert_eq!(encrypt(key(&[], &[3]).as_bytes(), b"x"), None, "no modulus");
        assert_eq!(encrypt(key(&[0xc5; 256], &[]).as_bytes(), b"x"), None, "no exponent");
        assert_eq!(encrypt(key(&[0xc5; 64], &[3]).as_bytes(), b"x"), None, "too short");
        assert_eq!(encrypt(key(&[0xc5; 128], &[3]).as_bytes(), &[7; 200]), None, "message too long");
        let good = key(&[0xc5; 256], &[3]);
        for end in 0..good.len() - 3 {
            let _ = encrypt(&good.as_bytes()[..end], b"x");
        }
        assert_eq!(encrypt(b"\xff", b"x"), None);
    }
}
