//! What can happen: the structured input of the targets that log in.

use std::ffi::c_int;

use arbitrary::Arbitrary;

/// A machine, a user on it, and some logins one after the other.
#[derive(Arbitrary, Debug)]
pub struct Scenario {
    /// His devices: one to three, each a number of a shape.
    pub shapes: (u8, Option<u8>, Option<u8>),
    /// What is wrong with his record.
    pub damage: Option<Damage>,
    pub block: Block,
    pub twin: Option<Twin>,
    /// The names of guesses that are claimed: one bit a day, the third is tomorrow's.
    pub guesses: u16,
    pub pairs: Pairs,
    pub config: Option<Config>,
    pub start: Start,
    pub logins: Vec<Login>,
}

#[derive(Arbitrary, Debug)]
pub enum Damage {
    Missing,
    /// A byte of it was changed.
    Altered(u16, u8),
    /// Others may read it.
    Open,
    /// The whole store is not there, or not the one of the key.
    NoStore,
    NoMark,
    OtherMark(u8),
}

/// What his logins did before.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub struct Used {
    /// For each device the newest step, relative to the present one; even numbers are "never".
    pub steps: [i8; 3],
    pub spent: u16,
    pub names: u8,
}

#[derive(Arbitrary, Debug)]
pub enum Block {
    Fresh,
    Used(Used),
    /// In the second slot is only the beginning of the newer state.
    Torn(Used, Used, u16),
    /// An admin command was killed before the last rename.
    FirstName(Used),
    OtherRecord(Used),
    Junk(Vec<u8>),
    Missing,
    NoDirectory,
}

#[derive(Arbitrary, Debug)]
pub enum Twin {
    Newer(Used),
    Junk(u8),
}

#[derive(Arbitrary, Debug)]
pub enum Pairs {
    Today(u8),
    /// All of the last ten days, if it is a multiple of eight: a hundred files take their time.
    All(u8),
}

#[derive(Arbitrary, Debug)]
pub enum Config {
    Tries(u8),
    SuspendAfter(u8),
    Junk(Vec<u8>),
    Policy(Policy),
}

/// Who is asked, and how.
#[derive(Arbitrary, Debug, Clone, Default)]
pub struct Policy {
    pub unenrolled: Rule,
    /// `[group.NAME]`
    pub groups: [Option<Rule>; 4],
    pub require: Option<Lists>,
    pub exempt: Option<Lists>,
    /// Which networks are trusted: one bit each.
    pub trusted: u8,
    pub asking: Asking,
    /// `[service.NAME]`
    pub here: Option<Asking>,
    /// When the file was changed: so many seconds after the start.
    pub changed: i16,
}

/// What holds for users who are not enrolled.
#[derive(Arbitrary, Debug, Clone, Default)]
pub enum Rule {
    #[default]
    Deny,
    Skip,
    /// The last day, relative to that of the start.
    SkipUntil(i8),
}

/// Names: one bit each.
#[derive(Arbitrary, Debug, Clone)]
pub struct Lists {
    pub users: u8,
    pub groups: u8,
    pub services: u8,
}

#[derive(Arbitrary, Debug, Clone, Default)]
pub struct Asking {
    pub tries: Option<u8>,
    pub echo: Option<bool>,
    pub prompt: bool,
}

#[derive(Arbitrary, Debug)]
pub enum Start {
    /// So many seconds after the user was enrolled.
    After(u32),
    At(i64),
}

#[derive(Arbitrary, Debug, Clone)]
pub struct Login {
    /// So many seconds after the last one; a clock can be set back.
    pub later: i16,
    pub talk: Talk,
    /// A login of the same user that gets its turn in the middle of this one. Where nothing is said
    /// of it, the same is typed there.
    pub meanwhile: Option<(Moment, Option<Talk>)>,
}

/// When a login is interrupted.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub enum Moment {
    /// When it is about to take or to give back the lock.
    Lock,
    /// Before the numbered call.
    Call(u8),
}

#[derive(Arbitrary, Debug, Clone)]
pub struct Talk {
    pub silent: bool,
    pub replies: Vec<Reply>,
    /// Which calls fail.
    pub faults: Vec<(u8, Trouble)>,
    /// From some call on the disk cannot be written.
    pub disk: Option<Disk>,
    pub odd: Option<Odd>,
    /// More on the PAM line.
    pub line: Option<Line>,
    /// What an earlier module asked for, if it is not the password alone.
    pub authtok: Option<Reply>,
    /// Where he comes from.
    pub host: u8,
    /// No look-up of this kind succeeds.
    pub lost: Option<Names>,
}

/// Options of the PAM line.
#[derive(Arbitrary, Debug, Clone)]
pub struct Line {
    /// `use_first_pass`, or `try_first_pass`.
    pub first_pass: Option<bool>,
    pub forward: bool,
    pub asking: Asking,
    /// `service=`, which of them.
    pub service: Option<bool>,
    pub debug: bool,
}

/// What somebody does at a prompt, after some time.
#[derive(Arbitrary, Debug, Clone)]
pub struct Reply {
    pub wait: u8,
    pub what: Typed,
    pub filler: Filler,
    /// The number of a password that is typed before it.
    pub password: Option<u8>,
}

#[derive(Arbitrary, Debug, Clone)]
pub enum Typed {
    /// The code of a device, some steps from now.
    Code(u8, Later),
    /// Codes in a row in one answer: two or three, the last some steps from now.
    Run(u8, Later, bool),
    Backup(u8),
    /// The digits of a code, but another number.
    Wrong(u8),
    Password,
    /// What was typed before.
    Again,
    Raw(Vec<u8>),
    /// A right code, and more than an answer can have.
    TooLong(u8),
    /// The application answers with an error, or with nothing (0).
    Fails(u8),
}

/// A number of steps; most often one inside the window.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub struct Later(u8);

#[derive(Arbitrary, Debug, Clone)]
pub enum Filler {
    None,
    Blanks,
    Dashes,
    Capitals,
}

#[derive(Arbitrary, Debug, Clone)]
pub enum Trouble {
    Fails(Errno),
    /// A read or a write stops after some bytes.
    Short(u16),
}

/// Never ENOENT: a kernel does not say that of a file that is there.
#[derive(Arbitrary, Debug, Clone)]
pub enum Errno {
    Access,
    Again,
    Interrupted,
    Invalid,
    Io,
    Loop,
    Memory,
    Permission,
    TooMany,
    OfDisk(DiskErrno),
}

#[derive(Arbitrary, Debug, Clone)]
pub struct Disk {
    /// From which call on.
    pub from: u8,
    pub error: DiskErrno,
}

#[derive(Arbitrary, Debug, Clone)]
pub enum DiskErrno {
    ReadOnly,
    Full,
    Quota,
    Io,
}

/// What is rarely so.
#[derive(Arbitrary, Debug, Clone, PartialEq)]
pub enum Odd {
    /// A login name; what is not a known one is nobody's.
    User(User),
    NoUser(u8),
    Words(Vec<Word>),
    NoItems,
    NoConversation,
    MuteConversation,
    /// `ulimit -f`
    SmallFiles,
    /// Somebody else holds the lock all the time.
    LockHeld,
}

#[derive(Arbitrary, Debug, Clone, PartialEq)]
pub enum User {
    Alias,
    NotEnrolled,
    Null,
    Raw(Vec<u8>),
}

/// What is looked up.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq)]
pub enum Names {
    User,
    Group,
    GroupsOfUser,
}

/// An argument of the PAM line.
#[derive(Arbitrary, Debug, Clone, PartialEq)]
pub enum Word {
    /// `root=` and the directory of the machine, and something more.
    Ours(Vec<u8>),
    Root(Vec<u8>),
    Raw(Vec<u8>),
    /// An option by its number.
    Flag(u8),
    /// The same with a value.
    Value(u8, Vec<u8>),
    Tries(u8),
    /// A prompt of about the longest length.
    LongPrompt(u8),
}

impl Talk {
    /// Whether something is wrong that `/run` may stand in for.
    pub fn has_broken_disk(&self) -> bool {
        let is_of_disk = |(_, trouble): &(u8, Trouble)| {
            matches!(trouble, Trouble::Fails(Errno::OfDisk(_) | Errno::Io))
        };
        self.disk.is_some() || self.faults.iter().any(is_of_disk)
    }
}

impl Later {
    /// The present step.
    pub const NOW: Later = Later(0);

    pub fn steps(self) -> i64 {
        const STEPS: [i64; 16] = [0, 1, -1, 0, 2, 1, -1, 0, 3, -2, 1, 0, 4, -3, 60, -60];
        STEPS[usize::from(self.0 % 16)]
    }
}

impl Errno {
    pub fn errno(&self) -> c_int {
        match self {
            Errno::Access => libc::EACCES,
            Errno::Again => libc::EAGAIN,
            Errno::Interrupted => libc::EINTR,
            Errno::Invalid => libc::EINVAL,
            Errno::Io => libc::EIO,
            Errno::Loop => libc::ELOOP,
            Errno::Memory => libc::ENOMEM,
            Errno::Permission => libc::EPERM,
            Errno::TooMany => libc::EMFILE,
            Errno::OfDisk(error) => error.errno(),
        }
    }
}

impl DiskErrno {
    pub fn errno(&self) -> c_int {
        match self {
            DiskErrno::ReadOnly => libc::EROFS,
            DiskErrno::Full => libc::ENOSPC,
            DiskErrno::Quota => libc::EDQUOT,
            DiskErrno::Io => libc::EIO,
        }
    }
}
