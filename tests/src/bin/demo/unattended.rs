//! The demo without a terminal: it answers by itself, shows each step and checks it.

use std::{
    ffi::c_int,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use mfa_tests::pam::{AUTH_ERR, PROMPT_ECHO_OFF, Reply, SUCCESS};
use serde::Deserialize;
use totp_rs::{Builder, Secret};

use crate::stage::{PASSWORD, Stage};

#[derive(Deserialize)]
struct Enrolled {
    secret: String,
    backup_codes: Vec<String>,
}

/// One login of the demo.
struct Step<'s> {
    title: &'static str,
    code: &'s str,
    expected: c_int,
    shown: &'static str,
}

/// Plays all steps; an error at the first that is not as it must be.
pub fn play(stage: &Stage) -> Result<(), String> {
    println!(
        "No terminal: the demo answers by itself.\n\n== Enroll {}",
        stage.user
    );
    let enrolled = enroll(stage)?;
    println!(
        "{} has a secret and {} backup codes.",
        stage.user,
        enrolled.backup_codes.len()
    );
    println!("\nThe PAM service:\n{}", stage.service());
    let right = code_now(&enrolled.secret)?;
    let wrong = wrong_one(&right);
    let backup = enrolled.backup_codes.first().ok_or("no backup codes")?;
    let steps = [
        Step {
            title: "a right code",
            code: &right,
            expected: SUCCESS,
            shown: "",
        },
        Step {
            title: "the same code again",
            code: &right,
            expected: AUTH_ERR,
            shown: "already used",
        },
        Step {
            title: "a wrong code",
            code: &wrong,
            expected: AUTH_ERR,
            shown: "Wrong code",
        },
        Step {
            title: "a backup code",
            code: backup,
            expected: SUCCESS,
            shown: "9 backup codes are left",
        },
        Step {
            title: "the same backup code again",
            code: backup,
            expected: AUTH_ERR,
            shown: "already used",
        },
    ];
    steps.iter().try_for_each(|step| step.play(stage))?;
    println!("\nAll steps went as they must.");
    Ok(())
}

fn enroll(stage: &Stage) -> Result<Enrolled, String> {
    let arguments = ["enroll", &stage.user, "--no-verify", "--yes", "--json"];
    let output = stage.admin(&arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("mfa-admin does not start: {error}"))?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).map_err(|_| "mfa-admin did not enroll".to_owned())
}

fn code_now(secret: &str) -> Result<String, String> {
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes());
    let secret = secret.map_err(|_| "the secret is not base32")?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| "the clock says a time before 1970")?;
    let totp = Builder::new()
        .with_secret(Secret::from(secret))
        .build_noncompliant();
    Ok(totp.generate(now.as_secs()).to_string())
}

/// A code of six digits that differs from the right one in each.
fn wrong_one(right: &str) -> String {
    right
        .bytes()
        .map(|digit| char::from(b'0' + (digit - b'0' + 5) % 10))
        .collect()
}

impl Step<'_> {
    fn play(&self, stage: &Stage) -> Result<(), String> {
        println!("\n== Log in with {}", self.title);
        let shown = Arc::<Mutex<String>>::default();
        let (code, log) = stage.login(self.person(Arc::clone(&shown)));
        println!(
            "PAM answers {code} ({})",
            if code == SUCCESS {
                "let in"
            } else {
                "not let in"
            }
        );
        println!("log: {log}");
        let shown = shown.lock().map_err(|_| "the conversation broke")?;
        match code == self.expected && shown.contains(self.shown) {
            true => Ok(()),
            false => Err(format!(
                "expected {} and to be told \"{}\"",
                self.expected, self.shown
            )),
        }
    }

    /// Types the password, then the code, then nothing more.
    fn person(
        &self,
        shown: Arc<Mutex<String>>,
    ) -> impl FnMut(c_int, &str) -> Reply + Send + 'static {
        let mut answers = vec![PASSWORD.to_owned(), self.code.to_owned()].into_iter();
        move |style, text| {
            println!("  {text}");
            if style != PROMPT_ECHO_OFF {
                if let Ok(mut shown) = shown.lock() {
                    shown.push_str(text);
                }
                return Reply::Null;
            }
            answers.next().map_or(Reply::Null, |answer| {
                println!("    (types {answer})");
                Reply::Text(answer.into_bytes())
            })
        }
    }
}
