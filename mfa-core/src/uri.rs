//! The `otpauth://` URI that an authenticator app scans.
//!
//! The format is the "Key Uri Format" of Google Authenticator, which every app understands.

use std::fmt::Write as _;

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::device::{Algorithm, Device, Shape};

/// The secret as apps take it: base32 (RFC 4648) without padding.
pub fn base32(device: &Device) -> Zeroizing<String> {
    Zeroizing::new(BASE32_NOPAD.encode(&device.secret))
}

/// The URI of a device. What an app assumes anyway is left out, so that the QR code stays small.
pub fn otpauth(device: &Device, issuer: &str, account: &str) -> Zeroizing<String> {
    let (issuer, account) = (percent_encoded(issuer), percent_encoded(account));
    let mut uri = Zeroizing::new(String::with_capacity(512));
    // Writing to a String cannot fail.
    let _ = write!(
        uri,
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}",
        *base32(device)
    );
    let (shape, usual) = (device.shape, Shape::default());
    if shape.algorithm != usual.algorithm {
        let _ = write!(uri, "&algorithm={}", name_of(shape.algorithm));
    }
    if shape.digits != usual.digits {
        let _ = write!(uri, "&digits={}", shape.digits);
    }
    if shape.period != usual.period {
        let _ = write!(uri, "&period={}", shape.period);
    }
    uri
}

fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Sha1 => "SHA1",
        Algorithm::Sha256 => "SHA256",
        Algorithm::Sha512 => "SHA512",
    }
}

/// RFC 3986, section 2.1: everything but the unreserved characters.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::device;

    #[test]
    fn what_apps_assume_is_left_out() {
        let plain = device(b"12345678901234567890", Shape::default());
        assert_eq!(
            *otpauth(&plain, "example", "alice"),
            "otpauth://totp/example:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=example"
        );
        let shape = Shape {
            algorithm: Algorithm::Sha256,
            digits: 8,
            period: 60,
        };
        let other = device(b"12345678901234567890", shape);
        let uri = otpauth(&other, "My Host", "a:b/ü");
        assert!(
            uri.starts_with("otpauth://totp/My%20Host:a%3Ab%2F%C3%BC?"),
            "{}",
            *uri
        );
        assert!(
            uri.ends_with("&issuer=My%20Host&algorithm=SHA256&digits=8&period=60"),
            "{}",
            *uri
        );
    }
}
