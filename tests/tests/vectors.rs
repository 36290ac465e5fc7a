//! Our codes are those of an independent generator, for a thousand random secrets.

use std::thread;

use data_encoding::BASE32_NOPAD;
use mfa_core::{
    device::{Algorithm, Device, Shape, Step},
    random,
};
use mfa_tests::oath::Oath;

const SECRETS: usize = 1000;
const CODES: u64 = 5;

const ALGORITHMS: [(Algorithm, &str); 3] = [
    (Algorithm::Sha1, "sha1"),
    (Algorithm::Sha256, "sha256"),
    (Algorithm::Sha512, "sha512"),
];

/// The number picks one of the twelve shapes.
fn device(number: usize) -> (Device, &'static str) {
    let (algorithm, name) = ALGORITHMS[number % 3];
    let shape = Shape {
        algorithm,
        digits: [6, 8][number / 3 % 2],
        period: [30, 60][number / 6 % 2],
    };
    let mut secret = vec![0; 16 + number % 49];
    random::fill(&mut secret).expect("random bytes");
    let device = Device {
        id: [0; 8],
        label: String::new(),
        shape,
        verified: true,
        enrolled: 0,
        secret: secret.into(),
    };
    (device, name)
}

/// A second from 1970 to 2106.
fn time() -> u64 {
    let bytes = random::bytes::<4>().expect("random bytes");
    u32::from_le_bytes(bytes).into()
}

fn compare(number: usize) {
    let (device, algorithm) = device(number);
    let time = time();
    let oath = Oath {
        secret: BASE32_NOPAD.encode(&device.secret),
        algorithm,
        digits: device.shape.digits.into(),
        period: device.shape.period,
    };
    let first = device.step_at(time as i64).expect("a step");
    let codes = oath.codes_from(time, CODES as usize);
    for (step, code) in (first..first + CODES).zip(&codes) {
        let found: Vec<Step> = device.steps_of(code, step..=step).collect();
        assert_eq!(found, [step], "{oath:?} at {time}: {code}");
        let other = code.replace(&code[..1], if code.starts_with('0') { "1" } else { "0" });
        assert_eq!(
            device.steps_of(&other, step..=step).next(),
            None,
            "{oath:?} {other}"
        );
    }
    assert_eq!(codes.len() as u64, CODES);
}

#[test]
fn a_thousand_random_secrets_have_the_codes_of_oathtool() {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for worker in 0..workers {
            scope.spawn(move || (worker..SECRETS).step_by(workers).for_each(compare));
        }
    });
}
