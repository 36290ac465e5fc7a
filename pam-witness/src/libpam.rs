//! The calls into libpam, and its call back for messages.

#![expect(unsafe_code, reason = "calls into libpam")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::{ptr, slice};

use pam_witness::{Event, Style};
use zeroize::Zeroizing;

use crate::wire;

/// All went well.
pub const SUCCESS: c_int = 0;
/// There is no such module.
pub const MODULE_UNKNOWN: c_int = 28;
const BUF_ERR: c_int = 5;
const CONV_ERR: c_int = 19;

const TTY: c_int = 3;
const RHOST: c_int = 4;

#[repr(C)]
struct Handle {
    _opaque: [u8; 0],
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    unused: c_int,
}

#[repr(C)]
struct Conversation {
    converse: extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        handle: *mut *mut Handle,
    ) -> c_int;
    fn pam_end(handle: *mut Handle, status: c_int) -> c_int;
    fn pam_set_item(handle: *mut Handle, item: c_int, value: *const c_void) -> c_int;
    fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_strerror(handle: *mut Handle, code: c_int) -> *const c_char;
}

/// From `pam_start` to `pam_end`. A call that fails gives libpam's code.
pub struct Transaction {
    handle: *mut Handle,
    status: c_int,
}

impl Transaction {
    /// Has libpam read the service and load its modules.
    pub fn start(service: &CString, user: &CString) -> Result<Transaction, c_int> {
        let conversation = Conversation {
            converse,
            data: ptr::null_mut(),
        };
        let mut handle = ptr::null_mut();
        // SAFETY: libpam copies all of it; the handle is ours to be written.
        let code =
            unsafe { pam_start(service.as_ptr(), user.as_ptr(), &conversation, &mut handle) };
        let status = SUCCESS;
        succeeded(code).map(|()| Transaction { handle, status })
    }

    /// Sets `PAM_TTY`.
    pub fn set_tty(&mut self, tty: &CString) -> Result<(), c_int> {
        self.set(TTY, tty)
    }

    /// Sets `PAM_RHOST`.
    pub fn set_rhost(&mut self, host: &CString) -> Result<(), c_int> {
        self.set(RHOST, host)
    }

    fn set(&mut self, item: c_int, text: &CString) -> Result<(), c_int> {
        // SAFETY: the handle is live, and libpam copies the text, which is what these items want.
        succeeded(unsafe { pam_set_item(self.handle, item, text.as_ptr().cast()) })
    }

    /// `pam_authenticate`.
    pub fn authenticate(&mut self) -> Result<(), c_int> {
        // SAFETY: the handle is live.
        self.status = unsafe { pam_authenticate(self.handle, 0) };
        succeeded(self.status)
    }

    /// `pam_acct_mgmt`.
    pub fn acct_mgmt(&mut self) -> Result<(), c_int> {
        // SAFETY: the handle is live.
        self.status = unsafe { pam_acct_mgmt(self.handle, 0) };
        succeeded(self.status)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and nobody has it after this.
        unsafe { pam_end(self.handle, self.status) };
    }
}

fn succeeded(code: c_int) -> Result<(), c_int> {
    match code {
        SUCCESS => Ok(()),
        code => Err(code),
    }
}

/// What libpam calls a code.
pub fn text(code: c_int) -> String {
    // SAFETY: the handle is not used, and the text is a C string that stays.
    let text = unsafe { CStr::from_ptr(pam_strerror(ptr::null_mut(), code)) };
    text.to_string_lossy().into_owned()
}

/// The conversation function (pam_conv(3)).
extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    _: *mut c_void,
) -> c_int {
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        return CONV_ERR;
    };
    // SAFETY: libpam hands over so many pointers.
    let messages = unsafe { slice::from_raw_parts(messages, count) };
    // SAFETY: each leads to a message that lives during the call.
    let messages = messages.iter().map(|message| unsafe { &**message });
    let Some(answers) = messages.map(reply).collect::<Option<Vec<_>>>() else {
        return CONV_ERR;
    };
    // SAFETY: zeroed memory is an array of responses without a text.
    let array = unsafe { libc::calloc(count, size_of::<Response>()) }.cast::<Response>();
    if array.is_null() {
        return BUF_ERR;
    }
    for (place, answer) in answers.iter().enumerate() {
        if let Some(answer) = answer {
            // SAFETY: there are as many responses as messages. The module frees what it gets.
            unsafe { (*array.add(place)).text = copy(answer) };
        }
    }
    // SAFETY: it is the module's variable for the array.
    unsafe { *responses = array };
    SUCCESS
}

/// What a person says to it: nothing if nothing is asked. None: there is no answer.
fn reply(message: &Message) -> Option<Option<Zeroizing<Vec<u8>>>> {
    let style = match message.style {
        1 => Style::Hidden,
        2 => Style::Shown,
        3 => Style::Error,
        4 => Style::Info,
        _ => return None,
    };
    let text = match message.text.is_null() {
        true => String::new(),
        // SAFETY: a text is a C string that lives during the call.
        false => unsafe { CStr::from_ptr(message.text) }
            .to_string_lossy()
            .into_owned(),
    };
    wire::tell(&Event::Message(style, text));
    match style {
        Style::Hidden | Style::Shown => wire::answer().map(Some),
        Style::Error | Style::Info => Some(None),
    }
}

/// A C string that the module frees; null if there is no memory, which is no answer.
fn copy(answer: &[u8]) -> *mut c_char {
    // SAFETY: one byte more than the answer is zeroed, and all but that one overwritten.
    unsafe {
        let copy = libc::calloc(answer.len() + 1, 1).cast::<u8>();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(answer.as_ptr(), copy, answer.len());
        }
        copy.cast()
    }
}
