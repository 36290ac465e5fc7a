//! `pam_sm_authenticate`.

use std::ffi::CStr;
use std::sync::Once;
use std::time::{SystemTime, UNIX_EPOCH};

use mfa_core::Clock;
use mfa_core::arguments::Arguments;
use mfa_core::log_line::Level;
use mfa_core::login::{Host, Request, login, refuse};
use mfa_core::options::Options;
use mfa_core::paths::Root;
use mfa_core::traces::without_traces;
use mfa_core::verdict::{Grant, Refusal, Verdict};
use pam::constants::{PAM_SILENT, PamFlag, PamResultCode};
use pam::items::{AuthTok, RHost, Service, Tty};
use pam::module::{PamHandle, PamResult};
use zeroize::Zeroizing;

use crate::syslog::Log;
use crate::talk::Conversation;
use crate::{ffi, pam_code};

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
    let verdict = without_traces(|| match request(pamh) {
        Ok(request) => decide(pamh, request, words, flags & PAM_SILENT != 0),
        Err(refusal) => Verdict::Refused(vec![refusal]),
    });
    if let Verdict::Granted(Grant {
        password: Some(password),
        ..
    }) = &verdict
    {
        ffi::hand_on(pamh, password);
    }
    pam_code::of(&verdict)
}

fn decide(pamh: &PamHandle, mut request: Request, words: &[&CStr], silent: bool) -> Verdict {
    let Arguments {
        root,
        options,
        problems,
    } = Arguments::parse(words.iter().map(|word| word.to_bytes()));
    request.options = options;
    let syslog = Log::new(&root);
    let log = |level, text: &str| syslog.write(level, text);
    let host = Host {
        root: &root,
        clock: &WallClock,
        log: &log,
    };
    let mut talk = Conversation::new(pamh, silent);
    match problems.is_empty() {
        true => login(&host, &request, &mut talk),
        false => {
            let refusal = Refusal::Arguments(format!("PAM line: {}", problems.join("; ")));
            refuse(&host, &request, refusal, &mut talk)
        }
    }
}

/// A name that is not UTF-8 is nobody's, like an empty one: asked like anybody else, and refused.
fn request(pamh: &mut PamHandle) -> Result<Request, Refusal> {
    let user = match pamh.get_user(None) {
        Err(PamResultCode::PAM_CONV_AGAIN) => return Err(Refusal::CalledTooEarly),
        user => user.unwrap_or_default(),
    };
    let authtok = pamh.get_item::<AuthTok>().ok().flatten();
    let authtok = authtok.map(|password| Zeroizing::new(password.as_bytes().to_vec()));
    Ok(Request {
        user,
        // The policy goes by it.
        service: text(
            pamh.get_item::<Service>()
                .map(|item| item.map(|Service(text)| text)),
        )
        .ok_or_else(|| Refusal::Arguments("the application names no PAM service".to_owned()))?,
        rhost: text(
            pamh.get_item::<RHost>()
                .map(|item| item.map(|RHost(text)| text)),
        ),
        tty: text(
            pamh.get_item::<Tty>()
                .map(|item| item.map(|Tty(text)| text)),
        ),
        authtok,
        options: Options::default(),
    })
}

/// An item that cannot be had is as good as none: without an address nobody is trusted.
fn text(item: PamResult<Option<&CStr>>) -> Option<String> {
    item.ok()
        .flatten()
        .map(|text| text.to_string_lossy().into_owned())
}

/// Instead of the default, which writes message and backtrace into whatever the application has
/// open as standard error. Only the place is logged: a message could carry what was typed.
fn log_panic(info: &std::panic::PanicHookInfo<'_>) {
    let place = info
        .location()
        .map(|place| format!("{}:{}", place.file(), place.line()));
    let text = format!("pam_mfa: internal error at {}", place.unwrap_or_default());
    Log::new(&Root::default()).write(Level::Error, &text);
}
