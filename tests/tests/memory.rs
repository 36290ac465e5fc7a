//! No secret is left behind in the application's memory: it is read from outside when `pam_end` has
//! returned. And memory does not grow.

use std::{fs, path::Path, process::Command, slice, time::Duration};

use data_encoding::HEXLOWER;
use mfa_tests::{
    client::Client,
    command::run,
    enrolled::{Enrolled, NOW, STEP},
    memory::{self, Found, Secret},
    oath::Oath,
    pam::{self, Reply},
    protocol::LOOK,
    sandbox::Sandbox,
    session::Session,
};

/// A module before ours asks for the password, which libpam keeps for us to compare.
const STACK: &str =
    "auth optional pam_unix.so nodelay\nauth required {mfa}\naccount required pam_permit.so\n";

/// Not the right one, which stands in the client's own program; that is all the same to ours. No part
/// of it is a word.
const PASSWORD: &str = "mK7vRq2XwZ9tBnHdYs4uGpL8cFjQ3aVx";

const ALICE: u32 = 2001;

/// What is there before anybody types: of the record, of the key, of what is derived from it.
fn kept(sandbox: &Sandbox, alice: &Enrolled) -> Vec<Secret> {
    let record = sandbox.store().record(ALICE).expect("read the record");
    let record = record.expect("alice's record");
    let text = fs::read_to_string(sandbox.path("etc/pam_mfa/key")).expect("read the key");
    let hex = text.split_whitespace().nth(2).expect("the key").to_owned();
    let key = HEXLOWER.decode(hex.as_bytes()).expect("hex");
    let mut secrets = vec![
        Secret::new("secret in base32", alice.secret.clone()),
        Secret::new("key in hex", hex.clone()),
    ];
    for ([name, padded], bytes) in [
        (
            ["secret", "secret in HMAC"],
            record.devices[0].secret.to_vec(),
        ),
        (
            ["tag key", "tag key in HMAC"],
            record.backup.tag_key.to_vec(),
        ),
        (["MAC key", "MAC key in HMAC"], derived(&hex, "mac")),
        (["seal key", "seal key in HMAC"], derived(&hex, "seal")),
        (["key", "key in HMAC"], key),
    ] {
        // The pads of RFC 2104.
        for pad in [0x36, 0x5c] {
            let bytes: Vec<u8> = bytes.iter().map(|byte| byte ^ pad).collect();
            secrets.push(Secret::new(padded, bytes));
        }
        secrets.push(Secret::new(name, bytes));
    }
    secrets
}

/// A key for one purpose, as openssl(1) derives it.
fn derived(key: &str, purpose: &str) -> Vec<u8> {
    let mut openssl = Command::new("openssl");
    let key = format!("hexkey:{key}");
    openssl.args(["dgst", "-sha256", "-mac", "HMAC", "-macopt", &key, "-r"]);
    let hex = run(&mut openssl, &format!("pam_mfa 1 {purpose}"))
        .ok()
        .stdout;
    let hex = hex.split_whitespace().next().expect("a MAC");
    HEXLOWER.decode(hex.as_bytes()).expect("hex")
}

/// What somebody types, and as it is looked for: with and without dashes, in both cases.
fn typed(name: &'static str, text: &str) -> Vec<Secret> {
    let bare = text.replace('-', "");
    [text.to_owned(), bare.clone(), bare.to_uppercase()]
        .map(|text| Secret::new(name, text))
        .into()
}

/// The client waits after `pam_end`.
fn looked_at(client: Client) -> Client {
    client.under(&["sh", "-c", "exec \"$@\" --look", "sh"])
}

/// Gives these answers and NULL beyond them, until the client waits.
#[track_caller]
fn answer(session: &mut Session, answers: &[Reply]) {
    let mut answers = answers.iter();
    while session.prompt().text != LOOK {
        session.reply(answers.next().cloned().unwrap_or(Reply::Null));
    }
}

fn text(text: &str) -> Reply {
    Reply::Text(text.as_bytes().to_vec())
}

/// Behind so many blanks, which do not count, that few other things are as large: what is freed is
/// soon used again, and begins with notes of the allocator.
fn behind_blanks(code: &str) -> Reply {
    text(&format!("{}{code}", " ".repeat(450)))
}

/// Alice, behind a password, and all that must not be found.
struct Scene {
    sandbox: Sandbox,
    alice: Enrolled,
    wrong: String,
    secrets: Vec<Secret>,
}

impl Scene {
    fn new() -> Self {
        let (sandbox, alice) = Sandbox::with_alice();
        sandbox.stack(STACK);
        let mut secrets = kept(&sandbox, &alice);
        // Of a day that is long gone: a number that nothing else contains by chance.
        let wrong = alice.code(-2880);
        for step in -2..=2 {
            secrets.extend(typed("code", &alice.code(step)));
        }
        secrets.extend(typed("wrong code", &wrong));
        secrets.extend(typed("backup code", &alice.backup_codes[0]));
        secrets.extend(typed("password", PASSWORD));
        Self {
            sandbox,
            alice,
            wrong,
            secrets,
        }
    }

    /// Types the password, then what is told, and returns what the login ended with.
    #[track_caller]
    fn leaves_nothing(&self, answers: &[Reply]) -> i32 {
        self.leaves_nothing_if(|| (), answers)
    }

    /// Lets something happen while our first prompt is open.
    #[track_caller]
    fn leaves_nothing_if(&self, happens: impl Fn(), answers: &[Reply]) -> i32 {
        let mut session = looked_at(self.sandbox.client("alice")).start();
        session.prompt();
        session.reply(text(PASSWORD));
        if session.prompt().text != LOOK {
            happens();
            session.reply(answers.first().cloned().unwrap_or(Reply::Null));
            answer(&mut session, answers.get(1..).unwrap_or_default());
        }
        let found = memory::find(session.pid(), &self.secrets);
        assert_eq!(found, Found::new());
        session.finish().code
    }
}

#[test]
fn while_a_login_goes_on_its_secrets_are_found() {
    let scene = Scene::new();
    // The free tries, until two codes are asked for.
    for _ in 0..4 {
        let wrong = [PASSWORD, &scene.wrong, &scene.wrong, &scene.wrong];
        assert!(!scene.sandbox.login("alice", &wrong).granted());
    }
    let mut session = looked_at(scene.sandbox.client("alice")).start();
    let find = |session: &Session| memory::find(session.pid(), &scene.secrets);
    session.prompt();
    assert_eq!(find(&session), Found::new());
    session.reply(text(PASSWORD));
    session.prompt();
    session.reply(text(&scene.alice.code(-1)));
    assert!(
        session.prompt().text.contains("next"),
        "{:?}",
        session.seen()
    );
    let found = find(&session);
    for name in ["secret", "key", "tag key", "password", "code"] {
        assert!(
            found.contains(&("[heap]".to_owned(), name)),
            "{name}: {found:?}"
        );
    }
    session.reply(text(&scene.alice.code(0)));
    answer(&mut session, &[]);
    assert_eq!(find(&session), Found::new());
    assert!(session.finish().granted());
}

#[test]
fn after_a_right_code_nothing_is_found() {
    let scene = Scene::new();
    let [first, second] = [0, 1].map(|step| scene.alice.code(step));
    assert_eq!(scene.leaves_nothing(&[text(&first)]), pam::SUCCESS);
    let answers = [behind_blanks(&scene.wrong), behind_blanks(&second)];
    assert_eq!(scene.leaves_nothing(&answers), pam::SUCCESS);
}

#[test]
fn after_a_backup_code_nothing_is_found() {
    let scene = Scene::new();
    let backup = &*scene.alice.backup_codes[0];
    assert_eq!(scene.leaves_nothing(&[behind_blanks(backup)]), pam::SUCCESS);
    // Spent by now.
    let answers = [text(&backup.replace('-', "")), text(backup)];
    assert_eq!(scene.leaves_nothing(&answers), pam::AUTH_ERR);
}

#[test]
fn after_wrong_answers_nothing_is_found() {
    let scene = Scene::new();
    let wrong = behind_blanks(&scene.wrong);
    let code = scene.leaves_nothing(&[wrong.clone(), text(PASSWORD), wrong]);
    assert_eq!(code, pam::AUTH_ERR);
    let long = format!("{}{}", scene.wrong, " ".repeat(600));
    let code = scene.leaves_nothing(&[text(&long), text(&format!("{PASSWORD}!")), Reply::Null]);
    assert_eq!(code, pam::AUTH_ERR);
}

#[test]
fn after_a_conversation_that_fails_nothing_is_found() {
    let scene = Scene::new();
    for (failing, code) in [
        (Reply::Error(pam::CONV_ERR), pam::CONV_ERR),
        (Reply::Error(pam::CONV_AGAIN), pam::INCOMPLETE),
        (Reply::NullArray, pam::CONV_ERR),
    ] {
        let answers = [behind_blanks(&scene.wrong), failing];
        assert_eq!(scene.leaves_nothing(&answers), code);
    }
}

#[test]
fn after_a_fault_nothing_is_found() {
    let scene = Scene::new();
    let record = scene
        .sandbox
        .path(&format!("var/lib/pam_mfa/users/{ALICE}.toml"));
    let whole = fs::read(&record).expect("read the record");
    let damage = || fs::write(&record, &whole[1..]).expect("damage the record");
    let right = behind_blanks(&scene.alice.code(0));
    let code = scene.leaves_nothing_if(damage, slice::from_ref(&right));
    assert_eq!(code, pam::AUTHINFO_UNAVAIL);
    // Now before the prompt.
    assert_eq!(scene.leaves_nothing(&[right]), pam::AUTHINFO_UNAVAIL);

    fs::write(&record, &whole).expect("repair the record");
    let state = scene
        .sandbox
        .path(&format!("var/lib/pam_mfa/state/{ALICE}"));
    let replace = || {
        fs::remove_dir_all(&state).expect("remove the state");
        fs::write(&state, "").expect("put a file in its place");
    };
    let backup = behind_blanks(&scene.alice.backup_codes[0]);
    let code = scene.leaves_nothing_if(replace, &[backup]);
    assert_eq!(code, pam::AUTHINFO_UNAVAIL);
}

/// A line of `/proc/PID/status`, in KiB.
fn size(session: &Session, name: &str) -> u64 {
    let path = format!("/proc/{}/status", session.pid());
    let status = fs::read_to_string(path).expect("read the client's status");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let size = line.and_then(|line| line.strip_prefix(':')?.trim().strip_suffix(" kB"));
    size.and_then(|size| size.parse().ok())
        .expect("a size in kB")
}

#[test]
fn the_memory_of_a_digest_is_given_back() {
    let (sandbox, alice) = Sandbox::with_alice();
    // From the second on the C library would keep it.
    let mut session = looked_at(sandbox.client("alice").calls(3)).start();
    session.prompt();
    let before = size(&session, "VmRSS");
    let codes: Vec<_> = alice.backup_codes.iter().map(|code| text(code)).collect();
    session.reply(codes[0].clone());
    answer(&mut session, &codes[1..]);
    let (after, peak) = (size(&session, "VmRSS"), size(&session, "VmHWM"));
    assert_eq!(session.finish().codes, [pam::SUCCESS; 3]);
    // 19 MiB were used.
    assert!(peak > before + 18 * 1024, "{before} KiB, {peak} KiB");
    assert!(after <= before + 1024, "{before} KiB, {after} KiB");
}

/// Answers every prompt, in turn with what is right, what was right, and what never is.
fn type_in_turn(session: &mut Session, alice: &Enrolled, clock: &Path) {
    let codes = Oath::new(&alice.secret).codes_from(NOW, 3000);
    let wrong = alice.wrong_code();
    let junk = Reply::Text(vec![b'7'; 600]);
    let mut newest = 0;
    for turn in 0.. {
        if session.next_prompt().is_none() {
            return;
        }
        session.reply(match turn % 32 {
            // Enough for every number of codes that may be asked for.
            0..3 => {
                newest += 1;
                let time = NOW + newest as u64 * STEP;
                fs::write(clock, time.to_string()).expect("set the clock");
                text(&codes[newest])
            }
            // Not so often that more than one code is asked for all the time.
            31 if turn % 1024 == 31 => text(&wrong),
            other => match other % 6 {
                0 => text(&codes[newest]),
                1 => text(&alice.backup_codes[turn / 32 % 10]),
                2 => text(PASSWORD),
                3 => junk.clone(),
                4 => Reply::Null,
                _ => Reply::Error(pam::CONV_ERR),
            },
        });
    }
}

#[test]
fn ten_thousand_logins_in_one_process_leave_nothing_behind() {
    let sandbox = Sandbox::new();
    sandbox.write("etc/pam_mfa/config.toml", "tries = 1\n");
    let [alice] = sandbox.enroll_cheaply("alice", ALICE, NOW);
    let clock = sandbox.path("clock");
    fs::write(&clock, NOW.to_string()).expect("set the clock");
    let client = sandbox.client("alice").rounds(10_000).at(NOW);
    let limit = Duration::from_secs(120);
    let mut session = client.following(&clock).limit(limit).start();
    type_in_turn(&mut session, &alice, &clock);
    let outcome = session.finish();
    for code in [pam::SUCCESS, pam::AUTH_ERR, pam::CONV_ERR] {
        let count = outcome.codes.iter().filter(|other| **other == code).count();
        assert!(count >= 300, "{code}: {count}");
    }
    // After the thousandth and after the last.
    let [(early, few), (late, many)] = outcome.memory[..] else {
        panic!("{:?}", outcome.memory);
    };
    assert_eq!((outcome.codes.len(), many), (10_000, few));
    assert!(late <= early + 64, "{early} KiB, {late} KiB");
}
