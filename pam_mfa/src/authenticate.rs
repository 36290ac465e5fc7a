//! `pam_sm_authenticate`.

use std::ffi::CStr;
use std::sync::Once;
use std::time::{SystemTime, UNIX_EPOCH};

use mfa_core::Clock;
use mfa_core::log_line::{self, Level};
use mfa_core::login::{Host, Request, Talk as _, login};
use mfa_core::messages;
use mfa_core::paths::Root;
use mfa_core::verdict::{Refusal, Verdict};
use pam::constants::{PAM_SILENT, PamFlag, PamResultCode};
use pam::items::{AuthTok, RHost, Service, Tty};
use pam::module::PamHandle;
use zeroize::Zeroizing;

use crate::arguments::Arguments;
use crate::talk::Conversation;
use crate::{ffi, pam_code, syslog};

/// How long the application is asked to wait after a failure, in microseconds.
const FAIL_DELAY: u32 = 2_000_000;

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> i64 {
        let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => seconds(after),
            Err(before) => -seconds(before.duration()).max(1),
        }
    }
}

pub fn authenticate(pamh: &mut PamHandle, words: &[&CStr], flags: PamFlag) -> PamResultCode {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(log_panic)));
    ffi::fail_delay(pamh, FAIL_DELAY);
    let request = match request(pamh) {
        Ok(request) => request,
        Err(code) => return code,
    };
    let verdict = decide(pamh, &request, words, flags & PAM_SILENT != 0);
    // The digest of a backup code took 19 MiB, which the C library would keep for the process.
    ffi::give_back_memory();
    pam_code::of(&verdict)
}

fn decide(pamh: &PamHandle, request: &Request, words: &[&CStr], silent: bool) -> Verdict {
    let mut talk = Conversation::new(pamh, silent);
    match Arguments::parse(words) {
        Ok(Arguments { root }) => {
            let log = |level, text: &str| syslog::write(&root, level, text);
            login(
                &Host {
                    root: &root,
                    clock: &WallClock,
                    log: &log,
                },
                request,
                &mut talk,
            )
        }
        Err(problem) => {
            let verdict = Verdict::Refused(vec![Refusal::Arguments(problem)]);
            let log = |level, text: &str| syslog::write(&Root::default(), level, text);
            log_line::write(&log, request, &verdict);
            talk.warn(messages::OUT_OF_ORDER);
            verdict
        }
    }
}

fn request(pamh: &mut PamHandle) -> Result<Request, PamResultCode> {
    let user = pamh.get_user(None)?;
    let text = |item: &CStr| item.to_string_lossy().into_owned();
    let service = pamh.get_item::<Service>()?.map(|Service(item)| text(item));
    let authtok = pamh.get_item::<AuthTok>()?;
    Ok(Request {
        user,
        service: service.unwrap_or_default(),
        rhost: pamh.get_item::<RHost>()?.map(|RHost(item)| text(item)),
        tty: pamh.get_item::<Tty>()?.map(|Tty(item)| text(item)),
        authtok: authtok.map(|password| Zeroizing::new(password.as_bytes().to_vec())),
    })
}

/// Instead of the default, which writes message and backtrace into whatever the application has
/// open as standard error. Only the place is logged: a message could carry what was typed.
fn log_panic(info: &std::panic::PanicHookInfo<'_>) {
    let place = info
        .location()
        .map(|place| format!("{}:{}", place.file(), place.line()));
    let text = format!("pam_mfa: internal error at {}", place.unwrap_or_default());
    syslog::write(&Root::default(), Level::Error, &text);
}
