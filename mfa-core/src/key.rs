//! The key of the machine: it signs what we store, and seals the secrets in it.

use std::fmt::Write as _;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::fault::{Fault, Ours};
use crate::file::Dir;
use crate::paths::Root;
use crate::random;

/// The name of the key's file in the configuration directory.
pub const FILE: &str = "key";

const MARK: &str = "pam_mfa-key-1 ";
const ID: usize = 8;
const KEY: usize = 32;
const NONCE: usize = 24;
/// `pam_mfa-key-1 <16 hex> <64 hex>\n`
const LENGTH: usize = MARK.len() + 2 * ID + 1 + 2 * KEY + 1;

/// How many blanks and line ends whoever types it from paper may leave around it.
const BLANKS: usize = 64;

const MAC_PREFIX: &str = "# mac ";
/// `# mac <64 hex>\n`
const MAC_LINE: usize = MAC_PREFIX.len() + 64 + 1;

/// 32 random bytes that exist on this machine alone, and a public id that tells keys apart.
pub struct Key {
    id: [u8; ID],
    /// In one place: each move of an array leaves a copy behind.
    bytes: Box<Zeroizing<[u8; KEY]>>,
}

impl Key {
    /// A new random key.
    pub fn generate() -> Result<Key, Fault> {
        let mut bytes = Box::new(Zeroizing::new([0; KEY]));
        random::fill(bytes.as_mut_slice())?;
        Ok(Key {
            id: random::bytes()?,
            bytes,
        })
    }

    /// Reads the key of the machine. `Fault::NoKey` if there is none.
    pub fn load(root: &Root, etc: &Dir) -> Result<Key, Fault> {
        let path = root.etc().join(FILE);
        match etc.read(FILE, LENGTH + BLANKS) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                Key::decode(&text).ok_or(Fault::Damaged {
                    path,
                    what: "is not a key",
                    ours: Ours::Key,
                })
            }
            Err(fault) if fault.is_absence() => Err(Fault::NoKey { path }),
            Err(fault) => Err(fault),
        }
    }

    /// The text of the key's file.
    pub fn encode(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.push_str(MARK);
        HEXLOWER.encode_append(&self.id, &mut text);
        text.push(' ');
        HEXLOWER.encode_append(self.bytes.as_slice(), &mut text);
        text.push('\n');
        text
    }

    fn decode(text: &[u8]) -> Option<Key> {
        let rest = text.trim_ascii().strip_prefix(MARK.as_bytes())?;
        let (id, key) = (rest.get(..2 * ID)?, rest.get(2 * ID..)?.strip_prefix(b" ")?);
        let mut decoded = Key {
            id: [0; ID],
            bytes: Box::new(Zeroizing::new([0; KEY])),
        };
        decode_hex(id, &mut decoded.id)?;
        decode_hex(key, decoded.bytes.as_mut_slice())?;
        Some(decoded)
    }

    /// The public id, in hexadecimal.
    pub fn id(&self) -> String {
        HEXLOWER.encode(&self.id)
    }

    /// Appends the line that vouches for every byte before it.
    pub fn sign(&self, mut text: String) -> String {
        let mac = HEXLOWER.encode(&self.mac(text.as_bytes()).finalize().into_bytes());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{MAC_PREFIX}{mac}");
        text
    }

    /// The text before the last line, if that line vouches for it under this key.
    pub fn verify<'t>(&self, text: &'t [u8]) -> Option<&'t str> {
        let (body, line) = text.split_at_checked(text.len().checked_sub(MAC_LINE)?)?;
        let hex = line
            .strip_prefix(MAC_PREFIX.as_bytes())?
            .strip_suffix(b"\n")?;
        let mut mac = [0; 32];
        decode_hex(hex, &mut mac)?;
        self.mac(body).verify_slice(&mac).ok()?;
        std::str::from_utf8(body).ok()
    }

    fn mac(&self, text: &[u8]) -> Hmac<Sha256> {
        hmac(&self.derived("mac")).chain_update(text)
    }

    /// Seals `secret` (XChaCha20-Poly1305 under a random nonce); `owner` must be the same to open it.
    pub fn seal(&self, owner: &[u8], secret: &[u8]) -> Result<Vec<u8>, Fault> {
        let nonce: [u8; NONCE] = random::bytes()?;
        let payload = Payload {
            msg: secret,
            aad: owner,
        };
        // Encryption fails only for messages of 256 GiB and more.
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let mut whole = nonce.to_vec();
        whole.extend(sealed.map_err(|_| Fault::NoMemory)?);
        Ok(whole)
    }

    /// Opens what [`Key::seal`] sealed for the same owner.
    pub fn open(&self, owner: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: ciphertext,
            aad: owner,
        };
        let secret = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        secret.ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.derived("seal")).into())
    }

    /// A key for one purpose alone (HMAC as the key derivation, NIST SP 800-108).
    fn derived(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let derivation = hmac(&self.bytes)
            .chain_update(b"pam_mfa 1 ")
            .chain_update(purpose);
        Zeroizing::new(derivation.finalize().into_bytes().into())
    }
}

/// HMAC-SHA-256 under a key of 32 bytes, padded to the hash's block as RFC 2104 says.
pub(crate) fn hmac(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    block
        .iter_mut()
        .zip(key)
        .for_each(|(place, byte)| *place = *byte);
    <Hmac<Sha256> as KeyInit>::new((&*block).into())
}

/// Decodes exactly as many bytes as `out` holds.
pub(crate) fn decode_hex(hex: &[u8], out: &mut [u8]) -> Option<()> {
    (hex.len() == 2 * out.len()).then_some(())?;
    HEXLOWER.decode_mut(hex, out).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_file() {
        let key = Key::generate().unwrap();
        let again = Key::decode(key.encode().as_bytes()).unwrap();
        assert_eq!((key.id, &key.bytes), (again.id, &again.bytes));
        assert_eq!(key.encode().len(), LENGTH);
    }

    #[test]
    fn what_an_editor_leaves_around_it_is_no_part_of_it() {
        let key = Key::generate().unwrap();
        let text = key.encode();
        for typed in [text.trim_end(), &format!("\n {} \r\n\n", text.trim_end())] {
            assert_eq!(Key::decode(typed.as_bytes()).unwrap().bytes, key.bytes);
        }
    }

    #[test]
    fn anything_else_is_no_key() {
        let text = Key::generate().unwrap().encode().to_string();
        for wrong in [
            "",
            &text[1..],
            text[..text.len() - 2].trim_end(),
            &text.to_uppercase(),
            &text.replace(' ', "  "),
        ] {
            assert!(Key::decode(wrong.as_bytes()).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_signed_text_cannot_be_altered() {
        let key = Key::generate().unwrap();
        let signed = key.sign("one = 1\n".to_owned());
        assert_eq!(key.verify(signed.as_bytes()), Some("one = 1\n"));
        for at in 0..signed.len() {
            let mut altered = signed.clone().into_bytes();
            altered[at] ^= 1;
            assert_eq!(key.verify(&altered), None, "byte {at}");
        }
        assert_eq!(key.verify(b""), None);
        assert_eq!(Key::generate().unwrap().verify(signed.as_bytes()), None);
    }

    #[test]
    fn a_sealed_secret_opens_for_its_owner_alone() {
        let key = Key::generate().unwrap();
        let sealed = key.seal(b"alice", b"secret").unwrap();
        assert_eq!(key.open(b"alice", &sealed).unwrap().as_slice(), b"secret");
        assert!(key.open(b"bob", &sealed).is_none());
        assert!(key.open(b"alice", &sealed[..20]).is_none());
        assert!(Key::generate().unwrap().open(b"alice", &sealed).is_none());
    }
}
