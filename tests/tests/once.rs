//! Exactly once: however many enter a code at the same instant, whatever the administrator does
//! meanwhile and whoever is killed, it lets one in and no more.

use std::{
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    iter,
    os::unix::fs::FileExt,
    path::PathBuf,
    process::{Child, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use mfa_core::block::{OFFSETS, SIZE, SLOT};
use mfa_tests::{
    command::LIMIT,
    enrolled::{ENROLL, Enrolled, REPLACE, STEP, now},
    lock::{self, signal, stop, wait_until_it_waits},
    need,
    oath::Oath,
    outcome::Outcome,
    pam::{self, Reply},
    protocol::Event,
    sandbox::Sandbox,
    session::Session,
    trace,
};
use nix::sys::signal::Signal;

const ALICE: u32 = 2001;

/// How many enter a code at once, and in how many of a hundred rounds.
const SIZES: [(usize, usize); 6] = [(2, 40), (4, 25), (8, 15), (16, 10), (32, 6), (64, 4)];

/// The most at once.
const MOST: usize = 64;

/// `MFA_ROUNDS`, or what takes some seconds.
fn rounds() -> usize {
    let wanted = std::env::var("MFA_ROUNDS").ok();
    wanted.map_or(200, |rounds| rounds.parse().expect("MFA_ROUNDS: a number"))
}

/// The sizes of so many rounds, in turn.
fn sizes() -> impl Iterator<Item = usize> {
    let hundred = SIZES
        .into_iter()
        .flat_map(|(size, times)| vec![size; times]);
    let hundred: Vec<usize> = hundred.collect();
    // Seven has no divisor in common with a hundred: every size comes up early.
    (0..rounds()).map(move |round| hundred[round * 7 % hundred.len()])
}

/// One test at a time: each of them keeps every core busy, and a login waits two seconds for a lock.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn any_below(below: u64) -> u64 {
    RandomState::new().hash_one(()) % below
}

/// A code that is good for thirty seconds at least.
fn code_of(user: &Enrolled) -> String {
    user.code_at(now() + STEP)
}

/// Three codes in a row in one answer, for which nobody is charged: all are judged at once.
fn row_of(user: &Enrolled) -> String {
    Oath::new(&user.secret)
        .codes_from(now() - STEP, 3)
        .join(" ")
}

fn backup_code_of(user: &Enrolled) -> String {
    user.backup_codes[0].clone()
}

/// What is entered.
type Answer = fn(&Enrolled) -> String;

const ANSWERS: [Answer; 3] = [code_of, row_of, backup_code_of];

/// A sandbox at the real time, with users whose backup codes cost next to nothing.
struct Stage {
    sandbox: Sandbox,
}

impl Stage {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        // One answer a login: what comes next is the next login.
        sandbox.write("etc/pam_mfa/config.toml", "tries = 1\n");
        Self { sandbox }
    }

    /// A new record in place of the one that is there, and nothing used of it.
    fn enroll(&self, user: &str, uid: u32) -> Enrolled {
        let [enrolled] = self.sandbox.enroll_cheaply(user, uid, now());
        self.forget_charges(uid);
        enrolled
    }

    fn forget_charges(&self, uid: u32) {
        for path in self.state(uid) {
            let name = path.file_name().and_then(|name| name.to_str());
            if !name.expect("UTF-8").starts_with("block-") {
                fs::remove_file(path).expect("remove a charge");
            }
        }
    }

    fn state(&self, uid: u32) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.sandbox.path(&format!("var/lib/pam_mfa/state/{uid}")))
            .expect("list the state");
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }

    /// The block as it is now, to bring it back with [`Self::rewind`] while nobody is logging in.
    fn block(&self, uid: u32) -> Block {
        let paths = self.state(uid);
        assert_eq!(paths.len(), 1, "{paths:?}");
        let path = paths.into_iter().next().expect("the block");
        let bytes = fs::read(&path).expect("read the block");
        let slot = bytes[..SLOT].to_vec();
        Block { uid, path, slot }
    }

    /// Nothing was used; the next login writes one slot after even rounds, the other after odd ones.
    fn rewind(&self, block: &Block, round: usize) {
        let mut bytes = vec![0; SIZE];
        let offset = OFFSETS[round % 2] as usize;
        bytes[offset..offset + SLOT].copy_from_slice(&block.slot);
        let file = File::options().write(true).open(&block.path);
        let written = file.and_then(|file| file.write_all_at(&bytes, 0));
        written.expect("write the block");
        self.forget_charges(block.uid);
    }

    /// So many processes at their prompts.
    fn crowd(&self, user: &str, size: usize) -> Vec<Member<'_>> {
        let start = |_| Member::start(&self.sandbox, user);
        let mut crowd: Vec<_> = (0..size).map(start).collect();
        crowd.iter_mut().for_each(Member::reach_the_prompt);
        crowd
    }
}

/// The block of a user, and its only slot.
struct Block {
    uid: u32,
    path: PathBuf,
    slot: Vec<u8>,
}

/// A process that logs in over and over, and stands at a prompt.
struct Member<'s> {
    sandbox: &'s Sandbox,
    user: String,
    session: Session,
    /// How many of its events were looked at.
    seen: usize,
}

impl<'s> Member<'s> {
    fn start(sandbox: &'s Sandbox, user: &str) -> Self {
        let limit = LIMIT + Duration::from_secs(rounds() as u64);
        let client = sandbox.client(user).rounds(u32::MAX).limit(limit);
        Self {
            sandbox,
            user: user.to_owned(),
            session: client.start(),
            seen: 0,
        }
    }

    fn reach_the_prompt(&mut self) {
        self.session.prompt();
        self.seen = self.session.seen().len();
    }

    /// Whether it got in; it stands at the prompt of its next login then. None if it was killed.
    fn verdict(&mut self) -> Option<bool> {
        let mut alive = self.session.next_prompt().is_some();
        // Asked for another code in a row.
        while alive && self.code().is_none() {
            self.session.reply(Reply::Null);
            alive = self.session.next_prompt().is_some();
        }
        let code = self.code();
        self.seen = self.session.seen().len();
        code.map(|code| code == pam::SUCCESS)
    }

    fn code(&self) -> Option<i32> {
        let mut events = self.session.seen()[self.seen..].iter();
        events.find_map(|event| match event {
            Event::Result { call, code } if call == "authenticate" => Some(*code),
            _ => None,
        })
    }

    /// Begins its login anew, with the record as it is now.
    fn begin_anew(&mut self) {
        self.session.reply(Reply::Null);
        assert_eq!(self.verdict(), Some(false), "let in without an answer");
    }

    /// Waits for the end of what was killed, and starts another.
    fn replace(&mut self) {
        *self = Self::start(self.sandbox, &self.user);
        self.reach_the_prompt();
    }
}

/// All of them enter the same at the same instant: how many got in.
fn enter(crowd: &mut [Member<'_>], answer: &str) -> usize {
    crowd
        .iter_mut()
        .for_each(|member| member.session.answer(answer));
    count(crowd)
}

fn count(crowd: &mut [Member<'_>]) -> usize {
    let verdicts = crowd.iter_mut().map(Member::verdict);
    verdicts.filter(|verdict| *verdict == Some(true)).count()
}

/// Round after round, so many at once, with nothing used before.
fn every_round_lets_one_in(answer: Answer) {
    let _turn = turn();
    let stage = Stage::new();
    let alice = stage.enroll("alice", ALICE);
    let block = stage.block(ALICE);
    let mut crowd = stage.crowd("alice", MOST);
    for (round, size) in sizes().enumerate() {
        stage.rewind(&block, round);
        let answer = answer(&alice);
        let granted = enter(&mut crowd[..size], &answer);
        assert_eq!(granted, 1, "round {round} of {size} at once");
        let late = enter(&mut crowd[..1], &answer);
        assert_eq!(late, 0, "once more after round {round} of {size} at once");
    }
}

#[test]
fn one_verification_code_in_up_to_64_processes_lets_one_in() {
    every_round_lets_one_in(code_of);
}

#[test]
fn three_codes_in_a_row_in_up_to_64_processes_let_one_in() {
    every_round_lets_one_in(row_of);
}

#[test]
fn one_backup_code_in_up_to_64_processes_lets_one_in() {
    every_round_lets_one_in(backup_code_of);
}

#[test]
fn at_the_same_instant_64_users_are_all_let_in() {
    let _turn = turn();
    let stage = Stage::new();
    let uids: Vec<u32> = (0..MOST as u32).map(|number| 3000 + number).collect();
    let name = |uid: &u32| format!("user{uid}");
    uids.iter()
        .for_each(|uid| stage.sandbox.add_account(&name(uid), *uid));
    let users: Vec<_> = uids
        .iter()
        .map(|uid| stage.enroll(&name(uid), *uid))
        .collect();
    let blocks: Vec<_> = uids.iter().map(|uid| stage.block(*uid)).collect();
    let mut crowd: Vec<_> = uids
        .iter()
        .map(|uid| Member::start(&stage.sandbox, &name(uid)))
        .collect();
    crowd.iter_mut().for_each(Member::reach_the_prompt);
    for round in 0..rounds().div_ceil(3) {
        blocks.iter().for_each(|block| stage.rewind(block, round));
        let answers: Vec<_> = users.iter().map(ANSWERS[round % ANSWERS.len()]).collect();
        for (member, answer) in crowd.iter_mut().zip(&answers) {
            member.session.answer(answer);
        }
        let granted = count(&mut crowd);
        assert_eq!(granted, MOST, "round {round}: {:#?}", stage.sandbox.log());
    }
}

#[test]
fn while_processes_are_killed_nothing_lets_in_twice_and_nobody_is_kept_out() {
    let _turn = turn();
    let stage = Stage::new();
    let alice = stage.enroll("alice", ALICE);
    let block = stage.block(ALICE);
    let mut crowd = stage.crowd("alice", 8);
    for round in 0..rounds() {
        stage.rewind(&block, round);
        let answer = ANSWERS[round % ANSWERS.len()](&alice);
        for member in &mut crowd {
            member.session.answer(&answer);
        }
        let victims = 1 + any_below(3) as usize;
        for member in &crowd[..victims] {
            // Not to wait for anything: any moment will do.
            thread::sleep(Duration::from_micros(any_below(2500)));
            signal(member.session.pid(), Signal::SIGKILL);
        }
        let granted = count(&mut crowd);
        crowd[..victims].iter_mut().for_each(Member::replace);
        // Those who lived may have been charged: only what is never charged is sure to be judged.
        let late = enter(&mut crowd[..1], &answer);
        assert!(
            granted + late <= 1,
            "round {round}: {granted} got in, then {late}"
        );
        let other = enter(&mut crowd[..1], &alice.backup_codes[1]);
        assert_eq!(other, 1, "round {round}: {:#?}", stage.sandbox.log().last());
    }
}

/// What the administrator does.
const REGENERATE: &[&str] = &["regenerate", "alice", "--json"];
const DISABLE: &[&str] = &["disable", "alice", "--yes"];

/// A command of the administrator that has begun. It is killed when dropped.
struct Admin(Child);

impl Admin {
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let mut command = sandbox.admin_command(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command.spawn().expect("start mfa-admin"))
    }

    /// Waits for the end, and returns what it wrote, which is less than a pipe holds. It must succeed
    /// unless it was killed.
    fn finish(mut self, killed: bool) -> String {
        let status = self.0.wait().expect("wait for mfa-admin");
        let stderr = self.0.stderr.take().map(std::io::read_to_string);
        assert!(
            status.success() || killed && status.code().is_none(),
            "{status} {stderr:?}"
        );
        let stdout = self.0.stdout.take().map(std::io::read_to_string);
        stdout
            .expect("stdout is a pipe")
            .expect("read from mfa-admin")
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        // Both are without effect if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What came of a round.
#[derive(Debug)]
struct Round {
    /// What was entered was a backup code.
    backup: bool,
    /// The command was killed on its way.
    killed: bool,
    /// How many got in.
    granted: usize,
    /// How many got in with the same answer afterwards.
    late: usize,
}

/// How many stages a command is played on at once: it spends its time on ten digests at their full cost,
/// before it takes the lock.
const STAGES: usize = 3;

/// Logins and a command of the administrator set out for the lock at the same instant.
fn while_the_administrator(command: &[&str], is_right: impl Fn(&Round) -> bool + Sync) {
    let _turn = turn();
    let next = AtomicUsize::new(0);
    let play = || {
        let stage = Stage::new();
        let _ = stage.enroll("alice", ALICE);
        let mut crowd = stage.crowd("alice", 6);
        let numbers = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        for number in numbers.take_while(|number| *number < rounds()) {
            let round = play_round(&stage, &mut crowd, command, number);
            assert!(is_right(&round), "round {number}: {round:?}");
        }
    };
    thread::scope(|scope| (0..STAGES).for_each(|_| drop(scope.spawn(play))));
}

fn play_round(stage: &Stage, crowd: &mut [Member<'_>], command: &[&str], number: usize) -> Round {
    let alice = stage.enroll("alice", ALICE);
    crowd.iter_mut().for_each(Member::begin_anew);
    let answer = ANSWERS[number % ANSWERS.len()](&alice);
    let killed = number % 4 == 3;
    let granted = set_out_together(stage, command, killed, crowd, &answer);
    crowd[0].begin_anew();
    Round {
        backup: number % ANSWERS.len() == 2,
        killed,
        granted,
        late: enter(&mut crowd[..1], &answer),
    }
}

/// How many got in.
fn set_out_together(
    stage: &Stage,
    command: &[&str],
    killed: bool,
    crowd: &mut [Member<'_>],
    answer: &str,
) -> usize {
    let held = lock::hold(&stage.sandbox);
    let admin = Admin::start(&stage.sandbox, command);
    wait_until_it_waits(admin.0.id());
    for member in &mut *crowd {
        member.session.answer(answer);
    }
    // Not to wait for anything: some wait for the lock by then, others come later.
    thread::sleep(Duration::from_micros(any_below(20_000)));
    drop(held);
    if killed {
        thread::sleep(Duration::from_micros(any_below(20_000)));
        signal(admin.0.id(), Signal::SIGKILL);
    }
    let granted = count(crowd);
    admin.finish(killed);
    granted
}

#[test]
fn while_backup_codes_are_regenerated_nothing_lets_in_twice() {
    while_the_administrator(REGENERATE, |round| match round {
        Round { killed: true, .. } => round.granted + round.late <= 1,
        Round { backup: true, .. } => round.granted <= 1 && round.late == 0,
        // What was spent is carried over, and what was not is still good.
        _ => round.granted + round.late == 1,
    });
}

#[test]
fn while_an_enrollment_is_replaced_nothing_lets_in_twice() {
    while_the_administrator(REPLACE, |round| match round {
        Round { killed: true, .. } => round.granted + round.late <= 1,
        _ => round.granted <= 1 && round.late == 0,
    });
}

#[test]
fn while_a_user_is_disabled_nothing_lets_in_twice() {
    while_the_administrator(DISABLE, |round| match round {
        Round { killed: true, .. } => round.granted + round.late <= 1,
        _ => round.granted <= 1 && round.late == 0,
    });
}

/// A login whose code was found right, stopped before it got the lock.
fn stopped_before_the_lock(sandbox: &Sandbox, answer: &str) -> Session {
    let held = lock::hold(sandbox);
    let session = answered(sandbox, answer);
    wait_until_it_waits(session.pid());
    stop(session.pid());
    drop(held);
    session
}

fn answered(sandbox: &Sandbox, answer: &str) -> Session {
    let mut session = sandbox.client("alice").start();
    session.prompt();
    session.answer(answer);
    session
}

/// Lets a stopped login go on to its end.
#[track_caller]
fn go_on(session: Session) -> Outcome {
    signal(session.pid(), Signal::SIGCONT);
    session.finish()
}

const USED: &str = "This code was already used. Wait for the next one.";
const CHANGED: &str = "Your enrollment was changed just now. Log in again.";

#[test]
fn a_login_that_stalls_while_another_spends_a_newer_step_is_refused() {
    let _turn = turn();
    for (checked, newer) in [(-1, 0), (0, 1), (0, 0)] {
        let (sandbox, alice) = Sandbox::with_alice();
        let stalled = stopped_before_the_lock(&sandbox, &alice.code(checked));
        assert!(sandbox.login("alice", &[&alice.code(newer)]).granted());
        let outcome = go_on(stalled);
        assert!(!outcome.granted(), "{outcome:#?}");
        assert_eq!(outcome.errors, [USED]);
    }
}

#[test]
fn a_backup_code_that_stalls_while_it_is_spent_is_refused() {
    let _turn = turn();
    let (sandbox, alice) = Sandbox::with_alice();
    let stalled = stopped_before_the_lock(&sandbox, &alice.backup_codes[3]);
    assert!(sandbox.login("alice", &[&alice.backup_codes[3]]).granted());
    let outcome = go_on(stalled);
    assert!(!outcome.granted(), "{outcome:#?}");
    let left = sandbox.login("alice", &[&alice.backup_codes[4]]).infos;
    assert_eq!(left, ["8 backup codes are left."]);
}

#[test]
fn a_phone_and_a_backup_code_at_once_are_both_let_in_and_both_spent() {
    let _turn = turn();
    let (sandbox, alice) = Sandbox::with_alice();
    let answers = [alice.code(0), alice.backup_codes[0].clone()];
    let held = lock::hold(&sandbox);
    let sessions = answers
        .each_ref()
        .map(|answer| answered(&sandbox, answer.as_str()));
    sessions
        .iter()
        .for_each(|session| wait_until_it_waits(session.pid()));
    drop(held);
    for outcome in sessions.map(Session::finish) {
        assert!(outcome.granted(), "{outcome:#?}");
    }
    for answer in &answers {
        let outcome = sandbox.login("alice", &[answer]);
        assert!(!outcome.granted(), "{outcome:#?}");
        assert!(
            outcome.errors[0].contains("already used"),
            "{:?}",
            outcome.errors
        );
    }
    let left = sandbox.login("alice", &[&alice.backup_codes[1]]).infos;
    assert_eq!(left, ["8 backup codes are left."]);
}

/// What a login can have been answered with before the administrator's command.
fn answers(alice: &Enrolled) -> [String; 3] {
    let row = [-1, 0, 1].map(|step| alice.code(step)).join(" ");
    [alice.backup_codes[0].clone(), alice.code(0), row]
}

/// A login that was about to take the lock, and one that stood at its prompt, while the commands
/// ran: neither gets in.
fn began_before(commands: &[&[&str]]) {
    let _turn = turn();
    for answer in 0..3 {
        let (sandbox, alice) = Sandbox::with_alice();
        let answer = answers(&alice)[answer].clone();
        let mut at_the_prompt = sandbox.client("alice").start();
        at_the_prompt.prompt();
        let stalled = stopped_before_the_lock(&sandbox, &answer);
        for command in commands {
            sandbox.admin(command).ok();
        }
        let outcome = go_on(stalled);
        assert!(!outcome.granted(), "{outcome:#?}");
        assert_eq!(outcome.errors, [CHANGED]);
        let line = sandbox.decisions().pop().expect("a line");
        assert!(line.contains("reason=record-changed"), "{line}");

        at_the_prompt.answer(&answer);
        let outcome = at_the_prompt.finish();
        assert!(!outcome.granted(), "{outcome:#?}");
        let is_gone = !sandbox.path("var/lib/pam_mfa/users/2001.toml").exists();
        let has_state = sandbox.path("var/lib/pam_mfa/state/2001").exists();
        assert_ne!(is_gone, has_state, "state is kept for the enrolled alone");
    }
}

#[test]
fn a_login_that_began_before_regenerate_returned_is_refused() {
    began_before(&[REGENERATE]);
}

#[test]
fn a_login_that_began_before_a_replacement_returned_is_refused() {
    began_before(&[REPLACE]);
}

#[test]
fn a_login_that_began_before_disable_returned_is_refused() {
    began_before(&[DISABLE]);
}

#[test]
fn a_login_that_began_before_a_user_was_disabled_and_enrolled_again_is_refused() {
    began_before(&[DISABLE, ENROLL]);
}

#[test]
fn a_code_that_is_spent_while_regenerate_waits_stays_spent() {
    let _turn = turn();
    let (sandbox, alice) = Sandbox::with_alice();
    let held = lock::hold(&sandbox);
    let admin = Admin::start(&sandbox, REGENERATE);
    wait_until_it_waits(admin.0.id());
    stop(admin.0.id());
    drop(held);
    for answer in [&alice.backup_codes[0], &alice.code(0)] {
        assert!(sandbox.login("alice", &[answer]).granted());
    }
    signal(admin.0.id(), Signal::SIGCONT);
    admin.finish(false);
    assert_eq!(sandbox.login("alice", &[&alice.code(0)]).errors, [USED]);
    for old in &alice.backup_codes[..2] {
        assert!(!sandbox.login("alice", &[old]).granted());
    }
    assert!(sandbox.login("alice", &[&alice.code(1)]).granted());
}

#[test]
fn an_enrollment_that_waits_while_the_user_is_disabled_is_whole() {
    let _turn = turn();
    let (sandbox, alice) = Sandbox::with_alice();
    let held = lock::hold(&sandbox);
    let admin = Admin::start(&sandbox, REPLACE);
    wait_until_it_waits(admin.0.id());
    stop(admin.0.id());
    drop(held);
    sandbox.admin(DISABLE).ok();
    signal(admin.0.id(), Signal::SIGCONT);
    let new: Enrolled = serde_json::from_str(&admin.finish(false)).expect("the JSON of enroll");
    for old in [&alice.code(0), &alice.backup_codes[0]] {
        assert!(!sandbox.login("alice", &[old]).granted());
    }
    assert!(sandbox.login("alice", &[&new.code(0)]).granted());
}

/// Gives alice's block the other of its two names: the first, or the final one.
fn rename_block(sandbox: &Sandbox, from: &str, to: &str) {
    let state = sandbox.path("var/lib/pam_mfa/state/2001");
    let mut names = fs::read_dir(&state).expect("list the state");
    let old = names.next().expect("a block").expect("an entry").path();
    let name = old.file_name().and_then(|name| name.to_str());
    let new = name.expect("UTF-8").replace(from, to);
    fs::rename(&old, state.join(new)).expect("rename the block");
}

#[test]
fn a_login_that_looks_while_the_block_gets_its_name_is_asked_for_one_code() {
    need!("/usr/bin/strace");
    let _turn = turn();
    // As an admin command leaves it for a moment; the login looks for the final name first.
    let nearly_settled = || {
        let (sandbox, alice) = Sandbox::with_alice();
        rename_block(&sandbox, "block-", "new-");
        (sandbox, alice)
    };
    let (sandbox, alice) = nearly_settled();
    let log = sandbox.path("strace");
    let words = ["strace", "-f", "-s200", "-o", log.to_str().expect("UTF-8")];
    let outcome = sandbox
        .client("alice")
        .under(&words)
        .login(&[&alice.code(0)]);
    assert!(outcome.granted(), "{outcome:#?}");
    let calls = trace::calls(&log, r#"\"prompt\""#);
    let looks = calls.iter().find(|call| call.line.contains("\"block-"));
    let looks = looks.expect("it looks for the block").number;

    let (sandbox, alice) = nearly_settled();
    let (log, stop) = (
        sandbox.path("strace"),
        format!("inject=openat:signal=STOP:when={looks}"),
    );
    let words = [
        "strace",
        "-f",
        "-e",
        &stop,
        "-o",
        log.to_str().expect("UTF-8"),
    ];
    let mut session = sandbox.client("alice").under(&words).start();
    let stopped = trace::stopped(&log);
    rename_block(&sandbox, "new-", "block-");
    signal(stopped, Signal::SIGCONT);
    assert_eq!(session.prompt().text, "Verification code or backup code: ");
    session.answer(&alice.backup_codes[0]);
    assert!(session.finish().granted());
}
