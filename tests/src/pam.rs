//! The real libpam, called as an application calls it, and what only the C library tells about a process.
//! The one file here with `unsafe`.

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_uint, c_void},
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr, slice,
};

use zeroize::Zeroizing;

/// All went well.
pub const SUCCESS: c_int = 0;
/// The module is set up wrongly.
pub const SERVICE_ERR: c_int = 3;
/// Refused by something else than authentication.
pub const PERM_DENIED: c_int = 6;
/// Refused.
pub const AUTH_ERR: c_int = 7;
/// What is needed to decide is not to be had.
pub const AUTHINFO_UNAVAIL: c_int = 9;
/// No such user.
pub const USER_UNKNOWN: c_int = 10;
/// Refused, and the application should not try again.
pub const MAXTRIES: c_int = 11;
/// The conversation failed.
pub const CONV_ERR: c_int = 19;
/// The module has no opinion.
pub const IGNORE: c_int = 25;
/// The module broke down.
pub const ABORT: c_int = 26;
/// The conversation has no answer yet.
pub const CONV_AGAIN: c_int = 30;
/// Call again when the conversation has an answer.
pub const INCOMPLETE: c_int = 31;

/// A prompt whose answer is not shown.
pub const PROMPT_ECHO_OFF: c_int = 1;
/// A prompt whose answer is shown.
pub const PROMPT_ECHO_ON: c_int = 2;
/// An error message.
pub const ERROR_MSG: c_int = 3;
/// A message.
pub const TEXT_INFO: c_int = 4;

/// The flag that asks modules not to emit messages.
pub const SILENT: c_int = 0x8000;
/// The flag with which `pam_setcred` sets credentials.
pub const ESTABLISH_CRED: c_int = 2;

const ITEM_TTY: c_int = 3;
const ITEM_RHOST: c_int = 4;
const ITEM_FAIL_DELAY: c_int = 10;

/// What the application's conversation function does with one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answers with these bytes; C sees them up to the first zero.
    Text(Vec<u8>),
    /// Succeeds with an answer that is NULL.
    Null,
    /// Succeeds and leaves the array of answers NULL.
    NullArray,
    /// Fails with this code.
    Error(c_int),
}

/// The application's side of a PAM conversation.
pub trait Application: Send {
    /// Answers a message of the stack.
    fn converse(&mut self, style: c_int, text: &str) -> Reply;

    /// Is told how long to wait before the user learns of `status`.
    fn delay(&mut self, status: c_int, usec: c_uint);
}

#[repr(C)]
struct RawHandle {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawMessage {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct RawResponse {
    text: *mut c_char,
    unused: c_int,
}

type Converse =
    extern "C" fn(c_int, *const *const RawMessage, *mut *mut RawResponse, *mut c_void) -> c_int;

#[repr(C)]
struct RawConversation {
    converse: Option<Converse>,
    application: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conversation: *const RawConversation,
        confdir: *const c_char,
        handle: *mut *mut RawHandle,
    ) -> c_int;
    fn pam_end(handle: *mut RawHandle, status: c_int) -> c_int;
    fn pam_set_item(handle: *mut RawHandle, item: c_int, value: *const c_void) -> c_int;
    fn pam_authenticate(handle: *mut RawHandle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut RawHandle, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut RawHandle, flags: c_int) -> c_int;
    fn pam_open_session(handle: *mut RawHandle, flags: c_int) -> c_int;
}

/// What a transaction is started with.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The folder of the service files, in place of `/etc/pam.d`.
    pub confdir: &'a Path,
    /// The service, which is the name of a file there.
    pub service: &'a str,
    /// The user; without one libpam asks.
    pub user: Option<&'a OsStr>,
    /// Start without a conversation function.
    pub null_conversation: bool,
}

/// A PAM handle, from `pam_start` to `pam_end`.
pub struct Transaction {
    handle: *mut RawHandle,
    application: *mut Box<dyn Application>,
    status: c_int,
}

// SAFETY: libpam keeps nothing by thread, `&mut` lets one thread in at a time, and the application is `Send`.
unsafe impl Send for Transaction {}

impl Transaction {
    /// `pam_start_confdir`; its code if it fails.
    pub fn start(start: Start, application: Box<dyn Application>) -> Result<Self, c_int> {
        let service = c_string(start.service.as_bytes());
        let confdir = c_string(start.confdir.as_os_str().as_bytes());
        let user = start.user.map(|user| c_string(user.as_bytes()));
        let mut transaction = Self {
            handle: ptr::null_mut(),
            application: Box::into_raw(Box::new(application)),
            status: SUCCESS,
        };
        let conversation = RawConversation {
            converse: (!start.null_conversation).then_some(converse as Converse),
            application: transaction.application.cast(),
        };
        // SAFETY: all strings and the conversation outlive the call, libpam copies them; the handle is ours to write.
        let code = unsafe {
            pam_start_confdir(
                service.as_ptr(),
                user.as_ref().map_or(ptr::null(), |user| user.as_ptr()),
                &conversation,
                confdir.as_ptr(),
                &mut transaction.handle,
            )
        };
        // On failure the drop of `transaction` frees the application.
        transaction.started(code)
    }

    fn started(mut self, code: c_int) -> Result<Self, c_int> {
        if code != SUCCESS {
            return Err(code);
        }
        let callback = delay as extern "C" fn(c_int, c_uint, *mut c_void);
        match self.set_item(ITEM_FAIL_DELAY, callback as *const c_void) {
            SUCCESS => Ok(self),
            code => Err(code),
        }
    }

    /// Sets `PAM_RHOST`.
    pub fn set_rhost(&mut self, host: &OsStr) -> c_int {
        let host = c_string(host.as_bytes());
        self.set_item(ITEM_RHOST, host.as_ptr().cast())
    }

    /// Sets `PAM_TTY`.
    pub fn set_tty(&mut self, tty: &OsStr) -> c_int {
        let tty = c_string(tty.as_bytes());
        self.set_item(ITEM_TTY, tty.as_ptr().cast())
    }

    fn set_item(&mut self, item: c_int, value: *const c_void) -> c_int {
        // SAFETY: the handle is live; `value` is what `item` wants, and libpam copies it (a function stays).
        unsafe { pam_set_item(self.handle, item, value) }
    }

    /// `pam_authenticate`.
    pub fn authenticate(&mut self, flags: c_int) -> c_int {
        // SAFETY: the handle is live.
        self.status = unsafe { pam_authenticate(self.handle, flags) };
        self.status
    }

    /// `pam_acct_mgmt`.
    pub fn acct_mgmt(&mut self, flags: c_int) -> c_int {
        // SAFETY: the handle is live.
        self.status = unsafe { pam_acct_mgmt(self.handle, flags) };
        self.status
    }

    /// `pam_setcred`.
    pub fn setcred(&mut self, flags: c_int) -> c_int {
        // SAFETY: the handle is live.
        self.status = unsafe { pam_setcred(self.handle, flags) };
        self.status
    }

    /// `pam_open_session`.
    pub fn open_session(&mut self, flags: c_int) -> c_int {
        // SAFETY: the handle is live.
        self.status = unsafe { pam_open_session(self.handle, flags) };
        self.status
    }

    /// `pam_end`, which also unloads the modules.
    pub fn end(mut self) -> c_int {
        self.end_once()
    }

    fn end_once(&mut self) -> c_int {
        let handle = std::mem::replace(&mut self.handle, ptr::null_mut());
        if handle.is_null() {
            return SUCCESS;
        }
        // SAFETY: the handle is live, and nobody has it after this.
        unsafe { pam_end(handle, self.status) }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.end_once();
        // SAFETY: it came from `Box::into_raw`, and libpam, which had the pointer too, has ended.
        drop(unsafe { Box::from_raw(self.application) });
    }
}

fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("a string without zero bytes")
}

/// The conversation function that libpam gets.
extern "C" fn converse(
    count: c_int,
    messages: *const *const RawMessage,
    responses: *mut *mut RawResponse,
    application: *mut c_void,
) -> c_int {
    // SAFETY: it is the pointer that `start` handed to libpam, live until `pam_end`, used by one thread at a time.
    let application = unsafe { &mut *application.cast::<Box<dyn Application>>() };
    // SAFETY: libpam hands over `count` pointers to messages.
    let messages = unsafe { slice::from_raw_parts(messages, count as usize) };
    // SAFETY: each pointer leads to a message that lives during the call.
    let messages = messages.iter().map(|message| unsafe { &**message });

    let mut texts = Vec::new();
    for message in messages {
        // SAFETY: a message's text is a C string.
        let text = unsafe { CStr::from_ptr(message.text) }.to_string_lossy();
        match application.converse(message.style, &text) {
            // Whatever is found in memory later on is not ours.
            Reply::Text(bytes) => texts.push(Some(Zeroizing::new(bytes))),
            Reply::Null => texts.push(None),
            Reply::NullArray => return SUCCESS,
            Reply::Error(code) => return code,
        }
    }
    // SAFETY: `responses` is the caller's variable for the array.
    unsafe { *responses = allocate(&texts) };
    SUCCESS
}

/// An array of answers as a module wants it: it frees the answers and the array itself.
fn allocate(texts: &[Option<Zeroizing<Vec<u8>>>]) -> *mut RawResponse {
    // SAFETY: zeroed memory is a valid array of responses; the size is not zero for libpam sends a message at least.
    let array = unsafe { libc::calloc(texts.len(), size_of::<RawResponse>()) };
    let array = array.cast::<RawResponse>();
    assert!(!array.is_null(), "out of memory");
    for (index, text) in texts.iter().enumerate() {
        if let Some(text) = text {
            // SAFETY: `index` lies inside of the array.
            unsafe { (*array.add(index)).text = c_copy(text) };
        }
    }
    array
}

fn c_copy(bytes: &[u8]) -> *mut c_char {
    // SAFETY: one byte more than `bytes` is zeroed and then overwritten but for the last, the end of the string.
    unsafe {
        let copy = libc::calloc(bytes.len() + 1, 1).cast::<u8>();
        assert!(!copy.is_null(), "out of memory");
        ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        copy.cast()
    }
}

/// The function that libpam calls in place of sleeping.
extern "C" fn delay(status: c_int, usec: c_uint, application: *mut c_void) {
    // SAFETY: as in `converse`.
    let application = unsafe { &mut *application.cast::<Box<dyn Application>>() };
    application.delay(status, usec);
}

/// What the C library keeps for the whole process and no file below `/proc` shows, each with its name.
pub fn process_wide() -> Vec<(String, String)> {
    // SAFETY: a null pointer asks for the name, which lives until the next change of the locale.
    let locale = unsafe { CStr::from_ptr(libc::setlocale(libc::LC_ALL, ptr::null())) };
    // SAFETY: 0 asks for the mask and changes nothing.
    let log_mask = unsafe { libc::setlogmask(0) };
    let mut all = vec![
        ("locale".to_owned(), format!("{locale:?}")),
        ("log mask".to_owned(), log_mask.to_string()),
    ];
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: zeroed memory is a valid action; a null pointer for the new one changes nothing.
        let action = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            // What it leaves alone stays zero: two signals belong to the C library itself.
            libc::sigaction(signal, ptr::null(), &mut action);
            action
        };
        let action = (action.sa_sigaction, action.sa_flags);
        all.push((format!("signal {signal}"), format!("{action:?}")));
    }
    all
}

/// Takes a name in the system's log, as a daemon does; its lines go to standard error too.
pub fn open_log(name: &'static CStr) {
    // SAFETY: the C library keeps the pointer, and the name stays.
    unsafe { libc::openlog(name.as_ptr(), libc::LOG_PERROR, libc::LOG_LOCAL5) };
}

/// Writes a line to the system's log.
pub fn log(text: &CStr) {
    // SAFETY: both are C strings, and the format takes one.
    unsafe { libc::syslog(libc::LOG_NOTICE, c"%s".as_ptr(), text.as_ptr()) };
}

/// Writes out what C code has printed and the C library still holds.
pub fn flush() {
    // SAFETY: a null pointer stands for every stream.
    unsafe { libc::fflush(ptr::null_mut()) };
}
