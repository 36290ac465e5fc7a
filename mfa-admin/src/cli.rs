//! The command line as `--help` and the man pages show it. Nothing but definitions.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use mfa_core::paths::Root;
use mfa_core::proof::is_service;

/// Enroll users for pam_mfa and see what is going on
#[derive(Parser)]
#[command(name = "mfa-admin", version, max_term_width = 100)]
pub struct Cli {
    /// Work on the system below DIR: its etc/pam_mfa and var/lib/pam_mfa. Users are looked up here
    #[arg(long, global = true, value_name = "DIR", default_value = "/", value_parser = root)]
    #[arg(display_order = 100)]
    pub root: Root,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn root(dir: &str) -> Result<Root, &'static str> {
    Root::new(Path::new(dir)).ok_or("not an absolute path: begin it with a slash")
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Make the key and an empty store; safe to repeat
    Init(Init),
    /// Give a user a second factor
    Enroll(Enroll),
    /// Give a user ten new backup codes; the old ones stop working
    Regenerate(Regenerate),
    /// Take the second factor away from a user; the policy says whether he still gets in
    Disable(Disable),
    /// Forget failed attempts, so that a login asks for one code again
    Unlock(Unlock),
    /// Show who is enrolled
    List(List),
    /// Show the devices, backup codes and last login of a user
    Status(Status),
    /// Tell whether services really ask for a code, and what is wrong
    Doctor(Doctor),
    /// Log in for a try, without a session, and see what each module says
    Test(Test),
    /// Have a service ask for a code, in a way that puts itself back
    #[command(subcommand)]
    Stack(StackCommand),
    /// Read the configuration as a login does
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// What to do with the PAM stack of a service.
#[derive(Subcommand)]
pub enum StackCommand {
    /// Put pam_mfa.so below the password; put back unless it is confirmed in time
    Enable(StackEnable),
    /// Let it stay, once somebody has logged in with a code
    Confirm(StackConfirm),
    /// Put everything back as it was
    Disable(StackDisable),
    /// Show which services ask, and which wait to be confirmed
    Status,
    /// Wait, and put back what was not confirmed
    #[command(hide = true)]
    Wait(StackWait),
}

/// The options of `stack enable`.
#[derive(Args)]
pub struct StackEnable {
    /// The PAM service: sshd, sudo, su, login or another
    #[arg(value_parser = service)]
    pub service: String,

    /// Ask the members of this group alone
    #[arg(long, value_name = "GROUP")]
    pub for_group: Option<String>,

    /// For how long it waits to be confirmed, such as 10m or 90s (up to a day)
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = within)]
    pub confirm_within: u64,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// The options of `stack confirm`.
#[derive(Args)]
pub struct StackConfirm {
    /// The PAM service [default: the one that waits]
    #[arg(value_parser = service)]
    pub service: Option<String>,
}

/// The options of `stack disable`.
#[derive(Args)]
pub struct StackDisable {
    /// The PAM service
    #[arg(value_parser = service)]
    pub service: String,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// The options of `stack wait`.
#[derive(Args)]
pub struct StackWait {
    /// The PAM service
    #[arg(value_parser = service)]
    pub service: String,
}

/// libpam takes names in small letters.
fn service(name: &str) -> Result<String, &'static str> {
    let name = name.to_ascii_lowercase();
    match is_service(&name) {
        true => Ok(name),
        false => Err("no name of a PAM service, such as sshd"),
    }
}

/// Seconds.
fn within(text: &str) -> Result<u64, &'static str> {
    let time: Option<SignedDuration> = text.parse().ok();
    let seconds = time.and_then(|time| u64::try_from(time.as_secs()).ok());
    let seconds = seconds.filter(|seconds| (1..=24 * 60 * 60).contains(seconds));
    seconds.ok_or("no time from 1s to 24h, such as 10m")
}

/// What to do with the configuration.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Tell what is wrong with it, what it says, and whether a login is asked for a second factor
    Check(Check),
}

/// The options of `config check`.
#[derive(Args)]
pub struct Check {
    /// Tell whether this user is asked for a second factor, and which rule says so
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// The PAM service of the login, such as sshd
    #[arg(long, value_name = "NAME", requires = "user", default_value = "login")]
    pub service: String,

    /// The address from which the login comes (PAM_RHOST)
    #[arg(long, value_name = "ADDRESS", requires = "user")]
    pub rhost: Option<String>,
}

/// The options of `doctor`.
#[derive(Args)]
pub struct Doctor {
    /// The PAM service, such as sshd [default: those by which people log in, and those that ask]
    #[arg(value_parser = service)]
    pub service: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The options of `test`.
#[derive(Args)]
pub struct Test {
    /// The login name
    pub user: String,

    /// The PAM service, such as sshd
    #[arg(long, value_name = "NAME", default_value = "login", value_parser = service)]
    pub service: String,

    /// The address from which the login comes (PAM_RHOST)
    #[arg(long, value_name = "ADDRESS")]
    pub rhost: Option<String>,
}

/// The options of `init`.
#[derive(Args)]
pub struct Init {
    /// Make an empty store under the key that is there, if the old store is gone for good
    #[arg(long)]
    pub new_store: bool,
}

/// The options of `enroll`.
#[derive(Args)]
pub struct Enroll {
    /// The login name
    pub user: String,

    /// Name of the machine or company that the authenticator app shows [default: the host name; of one longer
    /// than 24 characters the first parts]
    #[arg(long, value_name = "NAME")]
    pub issuer: Option<String>,

    /// Name of the account that the authenticator app shows [default: the login name]
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,

    /// Hash function of the codes; apps that know sha1 only show wrong codes for the others
    #[arg(long, value_enum, default_value = "sha1")]
    pub algorithm: Algorithm,

    /// Digits of a code
    #[arg(long, value_enum, default_value = "6")]
    pub digits: Digits,

    /// Seconds for which a code is shown
    #[arg(long, value_enum, default_value = "30")]
    pub period: Period,

    /// What to call the device in the log and in "status"
    #[arg(long, value_name = "NAME", default_value = "phone")]
    pub device: String,

    /// Replace the present enrollment; it works until the new one is verified
    #[arg(long)]
    pub replace: bool,

    /// Draw no QR code, for screen readers
    #[arg(long)]
    pub no_qr: bool,

    /// Show the otpauth:// URI, too
    #[arg(long)]
    pub show_uri: bool,

    /// Activate without asking for a code; a device that shows wrong codes locks the user out
    #[arg(long)]
    pub no_verify: bool,

    /// End the process that holds the lock of the user's state, if it does not let go within five seconds
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub handing_over: HandingOver,
}

/// How new codes reach the user.
#[derive(Args)]
pub struct HandingOver {
    /// Write the backup codes to a new file F instead of showing them
    #[arg(long, value_name = "F")]
    pub backup_codes_file: Option<PathBuf>,

    /// Ask nothing that can go unasked, and wait for nothing; for scripts
    #[arg(long)]
    pub yes: bool,

    /// Print one JSON object on standard output, secrets included; all else goes to standard error
    #[arg(long)]
    pub json: bool,
}

/// The options of `regenerate`.
#[derive(Args)]
#[command(group(ArgGroup::new("whom").args(["user", "all"]).required(true)))]
pub struct Regenerate {
    /// The login name
    pub user: Option<String>,

    /// Everybody who is enrolled, one after the other; after /var was restored from a backup
    #[arg(long, conflicts_with = "backup_codes_file")]
    pub all: bool,

    /// End the process that holds the lock of the user's state, if it does not let go within five seconds
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub handing_over: HandingOver,
}

/// The options of `disable`.
#[derive(Args)]
#[command(group(ArgGroup::new("whom").args(["user", "uid"]).required(true)))]
pub struct Disable {
    /// The login name
    pub user: Option<String>,

    /// The user id, where no name leads to it any more
    #[arg(long, value_name = "N")]
    pub uid: Option<u32>,

    /// End the process that holds the lock of the user's state, if it does not let go within five seconds
    #[arg(long)]
    pub force: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// The options of `unlock`.
#[derive(Args)]
pub struct Unlock {
    /// The login name
    pub user: String,

    /// End the process that holds the lock of the user's state, if it does not let go within five seconds
    #[arg(long)]
    pub force: bool,
}

/// The options of `list`.
#[derive(Args)]
pub struct List {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The options of `status`.
#[derive(Args)]
pub struct Status {
    /// The login name
    pub user: String,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Hash functions.
#[derive(Clone, Copy, ValueEnum)]
pub enum Algorithm {
    /// HMAC-SHA-1, which every app knows
    Sha1,
    /// HMAC-SHA-256
    Sha256,
    /// HMAC-SHA-512
    Sha512,
}

/// Lengths of a code.
#[derive(Clone, Copy, ValueEnum)]
pub enum Digits {
    /// Six digits
    #[value(name = "6")]
    Six,
    /// Eight digits
    #[value(name = "8")]
    Eight,
}

/// Lengths of a time step.
#[derive(Clone, Copy, ValueEnum)]
pub enum Period {
    /// Thirty seconds
    #[value(name = "30")]
    Thirty,
    /// Sixty seconds
    #[value(name = "60")]
    Sixty,
}
