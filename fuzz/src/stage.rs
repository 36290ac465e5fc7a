//! The login that is running, and what goes wrong around it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString, c_int};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use crate::line::Line;
use crate::machine::Machine;
use crate::scenario::{Disk, Moment, Names, Odd, Reply, Trouble};

thread_local! {
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    static NANOSECONDS: Cell<i64> = const { Cell::new(0) };
    static SECONDS: Cell<i64> = const { Cell::new(0) };
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// Another login that gets its turn in the middle of this one.
pub struct Meanwhile {
    /// When.
    pub at: Moment,
    /// What happens.
    pub login: Box<dyn FnOnce()>,
}

/// A login: what comes in, and what came out of it so far.
pub struct Running {
    pub machine: Rc<Machine>,
    pub user: Option<CString>,
    pub password: Option<CString>,
    pub replies: VecDeque<Reply>,
    pub odd: Option<Odd>,
    pub faults: Vec<(u8, Trouble)>,
    pub disk: Option<Disk>,
    pub meanwhile: Option<Meanwhile>,
    /// How many calls were made.
    pub calls: u32,
    /// Whether another login got its turn.
    pub interrupted: bool,
    /// The newest step of each device that was spent when it did.
    pub spent_by_then: HashMap<usize, u64>,
    /// No look-up of this kind succeeds.
    pub always_lost: Option<Names>,
    /// Whether a look-up of a user or a group failed.
    pub lost: bool,
    /// What stands on the PAM line.
    pub line: Line,
    /// Where he comes from, and which networks that is in.
    pub host: Option<&'static CStr>,
    pub networks: u8,
    /// What was typed, what an earlier module asked for included.
    pub typed: Vec<Typed>,
    /// What was handed on to later modules.
    pub handed_on: Vec<Vec<u8>>,
    /// Everything that was said.
    pub told: Vec<String>,
    /// How many prompts there were, and how many of them began a try.
    pub prompts: (usize, usize),
    /// The lines for the log.
    pub log: String,
    /// The socket of the log.
    pub log_socket: c_int,
}

/// An answer.
#[derive(Debug)]
pub struct Typed {
    pub time: i64,
    pub bytes: Vec<u8>,
    /// If a password may stand before the code: how many codes are looked for behind it.
    pub behind: Option<usize>,
    /// Whether it stood in what an earlier module asked for.
    pub earlier: bool,
}

/// What becomes of a call.
pub enum Fate {
    /// It is made.
    Real,
    /// It fails.
    Fails(c_int),
    /// It is made, for so many bytes at most.
    Short(usize),
}

/// What a call is about, as far as that decides whether a broken disk lets it fail.
pub enum What<'p> {
    /// It changes nothing.
    Reads,
    /// It takes the lock, or gives it back.
    Locks,
    /// It changes an open file.
    Writes(c_int),
    /// It changes a name in an open directory.
    Names(c_int, &'p Path),
}

/// Runs `work` as this login, with a wrapper around every call.
pub fn run<T>(running: Running, work: impl FnOnce() -> T) -> (T, Running) {
    let outer = RUNNING.replace(Some(running));
    ACTIVE.set(true);
    let result = work();
    ACTIVE.set(false);
    let running = RUNNING.replace(outer).expect("the login that ran");
    (result, running)
}

/// Whether the module is running: fuzzer and harness make the real calls.
pub fn is_active() -> bool {
    ACTIVE.get()
}

/// Whether a login is running, be it one that waits for another.
pub fn is_occupied() -> bool {
    RUNNING.with_borrow(Option::is_some)
}

/// The login that is running.
pub fn with<T>(work: impl FnOnce(&mut Running) -> T) -> T {
    RUNNING.with_borrow_mut(|running| work(running.as_mut().expect("a login that runs")))
}

/// Looks at the machine while the module waits.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    ACTIVE.set(false);
    let result = work();
    ACTIVE.set(true);
    result
}

/// Seconds since 1970.
pub fn now() -> i64 {
    SECONDS.get()
}

/// Sets the clock.
pub fn set_clock(seconds: i64) {
    SECONDS.set(seconds);
}

/// Lets time pass.
pub fn sleep(seconds: i64, nanoseconds: i64) {
    let nanoseconds = NANOSECONDS.get() + nanoseconds;
    NANOSECONDS.set(nanoseconds % 1_000_000_000);
    SECONDS.set(
        SECONDS
            .get()
            .saturating_add(seconds)
            .saturating_add(nanoseconds / 1_000_000_000),
    );
}

/// Before every call of the module: what becomes of it. May let another login run.
pub fn before(what: What<'_>) -> Fate {
    if !is_active() {
        return Fate::Real;
    }
    ACTIVE.set(false);
    let meanwhile = with(|running| {
        running.calls += 1;
        let due = running.meanwhile.take_if(|meanwhile| match meanwhile.at {
            Moment::Lock => matches!(what, What::Locks),
            Moment::Call(number) => u32::from(number) < running.calls,
        });
        running.interrupted |= due.is_some();
        due
    });
    if let Some(meanwhile) = meanwhile {
        let machine = with(|running| running.machine.clone());
        let steps = machine.look().steps;
        with(|running| running.spent_by_then = steps);
        (meanwhile.login)();
    }
    let fate = with(|running| running.fate(what));
    ACTIVE.set(true);
    fate
}

/// Whether the module may see this path. Whatever `root=` says, it stays on its own machine.
pub fn may_see(path: &Path) -> bool {
    !is_active() || !path.is_absolute() || with(|running| running.machine.has(path))
}

impl Running {
    fn fate(&self, what: What<'_>) -> Fate {
        let due = |(call, _): &&(u8, Trouble)| u32::from(*call) + 1 == self.calls;
        match (self.faults.iter().find(due), &self.disk) {
            (Some((_, Trouble::Fails(error))), _) => Fate::Fails(error.errno()),
            (Some((_, Trouble::Short(bytes))), _) => Fate::Short(usize::from(*bytes).max(1)),
            (None, Some(disk)) if self.is_on_disk(what) && u32::from(disk.from) < self.calls => {
                Fate::Fails(disk.error.errno())
            }
            _ => Fate::Real,
        }
    }

    /// `/run` is no disk.
    fn is_on_disk(&self, what: What<'_>) -> bool {
        let path = match what {
            What::Reads | What::Locks => return false,
            What::Writes(fd) => path_of(fd),
            What::Names(fd, name) => path_of(fd).join(name),
        };
        path.starts_with(self.machine.path().join("var"))
    }
}

fn path_of(fd: c_int) -> PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default()
}

/// Whether a path leads into a directory, by its words alone.
pub fn is_below(path: &Path, dir: &Path) -> bool {
    path.starts_with(dir) && !path.components().any(|c| c == Component::ParentDir)
}
