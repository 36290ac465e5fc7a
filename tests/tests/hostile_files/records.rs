//! Records that are altered, somebody else's, or rightly signed and still not to be believed.

use std::{fs, path::Path};

use mfa_core::{
    device::Device,
    fault::Fault,
    file::{Dir, Privacy},
    key::Key,
    paths::Root,
    record::Record,
};
use mfa_tests::{enrolled::NOW, pam, sandbox::Sandbox};

use crate::{place::Place, scene::Scene};

const BOBS: &str = "var/lib/pam_mfa/users/2002.toml";

fn key_of(sandbox: &Sandbox) -> Key {
    let root = Root::new(&sandbox.root()).expect("an absolute path");
    let etc = Dir::open(&root.etc(), Privacy::Readable).expect("open the directory of the key");
    Key::load(&root, &etc).expect("load the key")
}

/// Alters what is signed in alice's record, and signs it again.
fn forge(scene: &Scene, forge: impl FnOnce(&str) -> String) {
    let (key, path) = (key_of(&scene.sandbox), scene.path(Place::Record));
    let text = fs::read(&path).expect("read the record");
    let body = key.verify(&text).expect("a record under this key");
    fs::write(path, key.sign(forge(body))).expect("write the record");
}

/// Alters alice's record, and writes it as a command would.
fn make(scene: &Scene, alter: impl FnOnce(&mut Record)) {
    let (key, path) = (key_of(&scene.sandbox), scene.path(Place::Record));
    let text = fs::read(&path).expect("read the record");
    let mut record = Record::decode(&text, &key, &path).expect("alice's record");
    alter(&mut record);
    fs::write(path, record.encode(&key).expect("encode it")).expect("write the record");
}

/// Replaces the value of the only line, or of all lines, that begin with `name`.
fn set(name: &'static str, value: &'static str) -> impl Fn(&str) -> String {
    move |body| {
        let begin = format!("{name} = ");
        assert!(body.contains(&begin), "no {name}");
        let lines = body.lines().map(|line| match line.starts_with(&begin) {
            true => format!("{begin}{value}\n"),
            false => format!("{line}\n"),
        });
        lines.collect()
    }
}

/// Values that no command writes.
const VALUES: [(&str, &str); 19] = [
    // In KiB: 16 GiB, 16 TiB.
    ("memory", "16777216"),
    ("memory", "17179869184"),
    ("memory", "65537"),
    ("memory", "0"),
    ("iterations", "4294967295"),
    ("iterations", "11"),
    ("iterations", "0"),
    ("parallelism", "16777215"),
    ("parallelism", "0"),
    ("digits", "1"),
    ("digits", "10"),
    ("period", "0"),
    ("period", "9223372036854775807"),
    ("algorithm", "\"md5\""),
    // The secrets are sealed for another one.
    ("user", "\"bob\""),
    ("uid", "2002"),
    ("uid", "-1"),
    ("id", "\"00\""),
    ("secret", "\"\""),
];

#[test]
fn a_rightly_signed_record_with_a_value_out_of_bounds_is_refused() {
    for (name, value) in VALUES {
        println!("{name} = {value}");
        let scene = Scene::new();
        forge(&scene, set(name, value));
        assert_no_record(&scene);
    }
}

#[test]
fn a_rightly_signed_record_with_other_fields_is_refused() {
    let forged: [fn(&str) -> String; 4] = [
        |_| String::new(),
        |body| format!("sudo = true\n{body}"),
        |body| format!("{body}\nsudo = true\n"),
        |body| body.replace("verified = ", "# "),
    ];
    for alter in forged {
        let scene = Scene::new();
        forge(&scene, alter);
        assert_no_record(&scene);
    }
}

/// Alice's device under another id.
fn device(record: &Record, id: u8) -> Device {
    let first = &record.devices[0];
    Device {
        id: [id; 8],
        label: first.label.clone(),
        secret: first.secret.clone(),
        ..*first
    }
}

#[test]
fn a_rightly_signed_record_of_what_no_user_has_is_refused() {
    type Alter = fn(&mut Record);
    let made: [(&str, Alter); 6] = [
        ("two devices with one id", |record| {
            record.devices = vec![device(record, 1), device(record, 1)];
        }),
        ("nine devices", |record| {
            record.devices = (0..9).map(|id| device(record, id)).collect();
        }),
        ("no device", |record| record.devices.clear()),
        ("a short secret", |record| {
            record.devices[0].secret.truncate(15)
        }),
        ("nine backup codes", |record| {
            record.backup.digests.truncate(9)
        }),
        ("no backup code", |record| record.backup.digests.clear()),
    ];
    for (what, alter) in made {
        println!("{what}");
        let scene = Scene::new();
        make(&scene, alter);
        assert_no_record(&scene);
    }
}

/// Refused, and it is not the signature.
#[track_caller]
fn assert_no_record(scene: &Scene) {
    let words = [
        &*format!("{} is not a record", scene.path(Place::Record).display()),
        "backup",
        "mfa-admin disable",
        "mfa-admin enroll",
    ];
    scene.assert_fault("alice", &words);
    let done = scene.sandbox.admin(&["status", "alice"]).failed();
    scene.assert_says(&done.stderr, &words);
    let done = scene.sandbox.admin(&["list"]).failed();
    scene.assert_says(&done.stdout, &words);
}

/// What the others fail by is not the signing.
#[test]
fn a_rightly_signed_record_is_believed() {
    let scene = Scene::new();
    forge(&scene, |body| format!("{body}\n# signed\n"));
    scene.assert_lets_in();
    let scene = Scene::new();
    make(&scene, |record| {
        record.devices = (0..8).map(|id| device(record, id)).collect()
    });
    scene.assert_lets_in();
}

#[test]
fn a_record_of_an_unknown_version_says_so_even_if_nothing_else_is_known_of_it() {
    let forged: [fn(&str) -> String; 2] = [
        |body| set("version", "2")(body),
        |body| format!("extra = 1\n{}", set("version", "4294967295")(body)),
    ];
    for alter in forged {
        let scene = Scene::new();
        forge(&scene, alter);
        let record = scene.path(Place::Record).display().to_string();
        let words = [
            &*record,
            "another version",
            "Install that one",
            "mfa-admin enroll",
        ];
        scene.assert_fault("alice", &words);
    }
}

#[test]
fn a_bit_flipped_anywhere_in_a_record_is_noticed() {
    let scene = Scene::new();
    let (key, path) = (key_of(&scene.sandbox), Path::new("2001.toml"));
    let mut record = fs::read(scene.path(Place::Record)).expect("read the record");
    assert!(Record::decode(&record, &key, path).is_ok());
    for at in 0..record.len() {
        for bit in 0..8 {
            record[at] ^= 1 << bit;
            let fault = Record::decode(&record, &key, path).err();
            let is_noticed = matches!(fault, Some(Fault::Damaged { .. } | Fault::OtherKey { .. }));
            assert!(is_noticed, "bit {bit} of byte {at}: {fault:?}");
            record[at] ^= 1 << bit;
        }
    }
}

/// The same through the real libpam: one bit in each line.
#[test]
fn a_bit_flipped_in_any_line_of_a_record_lets_nobody_in() {
    let scene = Scene::new();
    let path = scene.path(Place::Record);
    let record = fs::read(&path).expect("read the record");
    let name = path.display().to_string();
    let words = [&*name, "mfa-admin disable", "mfa-admin enroll"];
    let ends = (0..record.len()).filter(|at| record[*at] == b'\n');
    for end in ends.filter(|end| *end > 0) {
        for at in [end - 1, end] {
            let mut flipped = record.clone();
            flipped[at] ^= 1;
            fs::write(&path, flipped).expect("flip a bit");
            scene.assert_fault("alice", &words);
        }
    }
    fs::write(&path, record).expect("flip it back");
    scene.assert_lets_in();
}

#[test]
fn a_record_under_another_uid_lets_neither_in() {
    let scene = Scene::new();
    let (alices, bobs) = (scene.path(Place::Record), scene.sandbox.path(BOBS));
    fs::rename(&alices, &bobs).expect("rename the record");
    let words = [
        bobs.display().to_string(),
        "is the record of another user id".to_owned(),
    ];
    scene.assert_fault("bob", &words);
    let lost = [alices.display().to_string(), "is missing".to_owned()];
    scene.assert_fault("alice", &lost);
    let list = scene.sandbox.admin(&["list"]).failed().stdout;
    assert!(
        list.contains(&words[0]) && list.contains(&lost[0]),
        "{list}"
    );
    // Nobody has this one: it can still be seen and removed.
    let nobodys = bobs.with_file_name("9999.toml");
    fs::rename(&bobs, &nobodys).expect("rename the record");
    let list = scene.sandbox.admin(&["list"]).failed().stdout;
    assert!(
        list.contains(&format!("uid 9999: {}", nobodys.display())),
        "{list}"
    );
    scene
        .sandbox
        .admin(&["disable", "--uid", "9999", "--yes"])
        .ok();
    assert!(!nobodys.exists());
}

#[test]
fn two_records_that_changed_places_let_neither_in() {
    let scene = Scene::new();
    let [bob] = scene.sandbox.enroll_cheaply("bob", 2002, NOW);
    let (alices, bobs) = (scene.path(Place::Record), scene.sandbox.path(BOBS));
    let away = scene.away();
    for (from, to) in [(&alices, &away), (&bobs, &alices), (&away, &bobs)] {
        fs::rename(from, to).expect("rename a record");
    }
    for (user, record) in [("alice", &alices), ("bob", &bobs)] {
        let record = record.display().to_string();
        scene.assert_fault(user, &[&*record, "another user id", "mfa-admin disable"]);
        let outcome = scene.sandbox.login(user, &[&bob.code(0)]);
        assert_eq!(outcome.code, pam::AUTHINFO_UNAVAIL);
    }
}

/// Moved along with its state, it is still alice's.
#[test]
fn a_record_and_its_block_under_another_uid_let_nobody_in() {
    let scene = Scene::new();
    let state = scene.path(Place::State);
    fs::rename(scene.path(Place::Record), scene.sandbox.path(BOBS)).expect("rename the record");
    fs::rename(&state, state.with_file_name("2002")).expect("rename the state");
    scene.assert_fault("bob", &["2002.toml is the record of another user id"]);
    let outcome = scene
        .sandbox
        .login("alice", &[scene.alice.code(0).as_str(); 3]);
    assert_eq!((outcome.code, outcome.prompts.len()), (pam::AUTH_ERR, 3));
}
