//! The functions of libpam that the module calls. They serve the running login.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;

use crate::scenario::Odd;
use crate::stage::{self, Running};

/// Flags and codes of `_pam_types.h`.
pub const SUCCESS: c_int = 0;
pub const SERVICE_ERR: c_int = 3;
pub const AUTH_ERR: c_int = 7;
pub const AUTHINFO_UNAVAIL: c_int = 9;
pub const CONV_ERR: c_int = 19;
pub const IGNORE: c_int = 25;
pub const ABORT: c_int = 26;
pub const CONV_AGAIN: c_int = 30;
pub const SILENT: c_int = 0x8000;
const BAD_ITEM: c_int = 29;
const ECHO_OFF: c_int = 1;
const ECHO_ON: c_int = 2;
const AUTHTOK: c_int = 6;

/// What a person does at a prompt.
pub enum Answer {
    /// The bytes that he types.
    Types(Vec<u8>),
    /// The application answers with an error, or with nothing.
    Fails(c_int),
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type Talk =
    unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    talk: Option<Talk>,
    data: *mut c_void,
}

// SAFETY: nobody writes to it, and its pointer is null.
unsafe impl Sync for Conversation {}

static CONVERSATION: Conversation = Conversation {
    talk: Some(talk),
    data: null_mut(),
};
static MUTE: Conversation = Conversation {
    talk: None,
    data: null_mut(),
};

unsafe extern "C" {
    fn pam_sm_authenticate(
        handle: *mut c_void,
        flags: c_int,
        argc: c_int,
        argv: *const *const c_char,
    ) -> c_int;
}

/// Calls the module.
pub fn authenticate(flags: c_int, words: &[CString]) -> c_int {
    let words: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    let count = c_int::try_from(words.len()).expect("a few words");
    let mut handle = 0u64;
    // SAFETY: the words live until it returns, and the handle is only handed back to us.
    unsafe { pam_sm_authenticate((&raw mut handle).cast(), flags, count, words.as_ptr()) }
}

#[unsafe(no_mangle)]
extern "C" fn pam_fail_delay(_: *mut c_void, _: c_uint) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pam_get_user(
    _: *mut c_void,
    user: *mut *const c_char,
    _: *const c_char,
) -> c_int {
    stage::with(|running| {
        if let Some(Odd::NoUser(code)) = running.odd {
            return c_int::from(code.max(1));
        }
        let name = running.user.as_ref();
        unsafe { user.write(name.map_or(std::ptr::null(), |name| name.as_ptr())) };
        SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pam_get_item(
    _: *const c_void,
    kind: c_int,
    item: *mut *const c_void,
) -> c_int {
    stage::with(|running| match running.item(kind) {
        Some(there) => {
            unsafe { item.write(there) };
            SUCCESS
        }
        None => BAD_ITEM,
    })
}

impl Running {
    fn item(&self, kind: c_int) -> Option<*const c_void> {
        Some(match (kind, &self.odd) {
            (5, Some(Odd::NoConversation)) => std::ptr::null(),
            (5, Some(Odd::MuteConversation)) => (&raw const MUTE).cast(),
            (5, _) => (&raw const CONVERSATION).cast(),
            (1 | 3 | 4 | 6, Some(Odd::NoItems)) => return None,
            (1, _) => c"fuzz".as_ptr().cast(), // The first of `policy::SERVICES`.
            (3, _) => c"\xff\x1btty".as_ptr().cast(),
            (4, _) => self
                .host
                .map_or(std::ptr::null(), |host| host.as_ptr().cast()),
            (AUTHTOK, _) => {
                let password = self.password.as_ref();
                password.map_or(std::ptr::null(), |password| password.as_ptr().cast())
            }
            _ => std::ptr::null(),
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pam_set_item(_: *mut c_void, kind: c_int, item: *const c_void) -> c_int {
    crate::require!(kind == AUTHTOK, "item {kind} was set");
    let text = unsafe { CStr::from_ptr(item.cast()) }.to_bytes().to_vec();
    stage::with(|running| running.handed_on.push(text));
    SUCCESS
}

unsafe extern "C" fn talk(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    _: *mut c_void,
) -> c_int {
    crate::require!(count == 1, "one message at a time");
    let message = unsafe { &**messages };
    let text = unsafe { CStr::from_ptr(message.text) }.to_string_lossy();
    let is_prompt = matches!(message.style, ECHO_OFF | ECHO_ON);
    let answer = stage::aside(|| match is_prompt {
        true => {
            let (machine, forward) = stage::with(|r| (r.machine.clone(), r.line.forward));
            let needed = forward.then(|| machine.needed(&machine.look(), stage::now()));
            stage::with(|running| running.answer(&text, needed, message.style == ECHO_ON))
        }
        false => stage::with(|running| running.hears(&text)),
    });
    let typed = match answer {
        Answer::Fails(SUCCESS) => null_mut(),
        Answer::Fails(code) => return code,
        // The module frees it.
        Answer::Types(bytes) => unsafe { libc::strdup(until_nul(bytes).as_ptr()) },
    };
    unsafe {
        let response = libc::calloc(1, size_of::<Response>()).cast::<Response>();
        (*response).text = typed;
        responses.write(response);
    }
    SUCCESS
}

/// What a C string can hold of it.
pub fn until_nul(mut bytes: Vec<u8>) -> CString {
    bytes.retain(|byte| *byte != 0);
    CString::new(bytes).expect("no NUL in it")
}
