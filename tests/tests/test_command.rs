//! `mfa-admin test`: a real transaction, shown prompt by prompt with what each module says.

use mfa_tests::{
    PASSWORD,
    enrolled::{Enrolled, STEP, now},
    locate,
    machine::Machine,
    need_root,
    pty::Pty,
};

/// The usual stack. pam_deny.so stands at a jump's end, as in Debian's common-auth.
const USUAL: &str = "auth [success=1 default=ignore] pam_unix.so\n\
                     auth requisite pam_deny.so\n\
                     auth [success=ok ignore=ignore default=die] pam_mfa.so\n\
                     auth required pam_permit.so\n";

const PASSWORD_PROMPT: &str = "Password: ";
const CODE_PROMPT: &str = "Verification code or backup code: ";

/// alice is enrolled and the service "try" has these lines; carol calls su, which has the same.
fn machine(auth: &str) -> (Machine, Enrolled) {
    let (machine, alice) = Machine::with_alice();
    machine.add_user("carol");
    machine.write("/etc/pam_mfa/config.toml", "tries = 1\n", "0644");
    machine.stack("try", auth);
    machine.stack("su", auth);
    (machine, alice)
}

fn test(machine: &Machine, user: &str, words: &[&str]) -> Pty {
    let words = [&["mfa-admin", "test", user], words].concat();
    machine.spawn_pty("root", &words)
}

/// Types each at its prompt; what is shown from the start, and the exit status.
#[track_caller]
fn tried(machine: &Machine, user: &str, typed: &[(&str, &str)]) -> (i32, String) {
    let mut pty = test(machine, user, &["--service", "try"]);
    let mut shown = String::new();
    for (prompt, answer) in typed {
        shown += &(pty.expect(prompt) + prompt);
        pty.send_line(answer);
    }
    let (code, rest) = pty.finish();
    (code, (shown + &rest).replace("\r\n", "\n"))
}

fn code(alice: &Enrolled) -> String {
    alice.code_at(now() + STEP)
}

/// Without what stands above every login.
#[track_caller]
fn below_the_warning(shown: &str) -> &str {
    let (warning, rest) = shown.split_once("(pam_faillock).\n\n").expect(shown);
    assert!(warning.contains("A code that you type is used up"));
    rest
}

#[test]
fn each_prompt_is_shown_with_its_module_and_what_that_says() {
    need_root!();
    let (machine, alice) = machine(USUAL);
    let code = code(&alice);
    let typed = [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, &code)];
    let (status, shown) = tried(&machine, "alice", &typed);
    assert_eq!(
        below_the_warning(&shown),
        "pam_unix.so (/etc/pam.d/try:1) asks\n\
         Password: \n\
         pam_unix.so (/etc/pam.d/try:1): success\n\
         pam_mfa.so (/etc/pam.d/try:3) asks\n\
         Verification code or backup code: \n\
         pam_mfa.so (/etc/pam.d/try:3): success\n\
         pam_permit.so (/etc/pam.d/try:4): success\n\
         pam_unix.so (/etc/pam.d/try:5): success\n\
         \n\
         Result: alice would get in.\n"
    );
    assert_eq!(status, 0);
    assert!(!shown.contains(PASSWORD) && !shown.contains(&code));
    // The log is that of any login.
    let log = machine.log();
    let says = |what: &str| log.iter().any(|line| line.contains(what));
    assert!(says("pam_mfa(try:auth): granted user=alice"), "{log:#?}");
    assert!(says("tty=/dev/pts/"), "{log:#?}");

    // The code is used up, here and elsewhere.
    let (status, shown) = tried(&machine, "alice", &typed);
    assert!(
        shown.ends_with(
            "pam_mfa.so (/etc/pam.d/try:3): auth_err\n\n\
             Result: alice would be refused: Authentication failure\n"
        ),
        "{shown}"
    );
    assert_eq!(status, 1);
    assert!(!su(&machine, &typed));
}

#[test]
fn a_wrong_password_and_an_account_that_is_over_are_refused_where_they_are() {
    need_root!();
    let (machine, alice) = machine(USUAL);
    let (status, shown) = tried(&machine, "alice", &[(PASSWORD_PROMPT, "wrong")]);
    assert!(
        shown.ends_with(
            "pam_unix.so (/etc/pam.d/try:1): auth_err\n\
             pam_deny.so (/etc/pam.d/try:2): auth_err\n\n\
             Result: alice would be refused: Authentication failure\n"
        ),
        "{shown}"
    );
    assert_eq!(status, 1);
    let log = machine.log();
    let failed = |line: &String| line.contains("pam_unix(try:auth): authentication failure");
    assert!(log.iter().any(failed), "{log:#?}");

    let code = code(&alice);
    let typed = [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, &*code)];
    machine.sh("chage --expiredate 0 alice");
    let (status, shown) = tried(&machine, "alice", &typed);
    assert!(
        shown.contains("pam_mfa.so (/etc/pam.d/try:3): success\n"),
        "{shown}"
    );
    assert!(
        shown.contains("pam_unix.so (/etc/pam.d/try:5) says that something is wrong: "),
        "{shown}"
    );
    assert!(
        shown.ends_with(
            "pam_unix.so (/etc/pam.d/try:5): acct_expired\n\n\
             Result: alice would be refused: User account has expired\n"
        ),
        "{shown}"
    );
    assert_eq!(status, 1);

    machine.sh("chage --expiredate -1 --lastday 0 alice");
    let typed = [
        (PASSWORD_PROMPT, PASSWORD),
        (CODE_PROMPT, &*alice.backup_codes[0]),
    ];
    let (status, shown) = tried(&machine, "alice", &typed);
    let result = "Result: alice would have to choose a new password first: ";
    assert!(status == 1 && shown.contains(result), "{shown}");
}

/// Whether a real su by carol lets in.
#[track_caller]
fn su(machine: &Machine, typed: &[(&str, &str)]) -> bool {
    let mut su = machine.spawn_pty("carol", &["su", "alice", "-c", "echo let in"]);
    for (prompt, answer) in typed {
        su.expect(prompt);
        su.send_line(answer);
    }
    let (status, shown) = su.finish();
    assert_eq!(status == 0, shown.contains("let in"), "{shown}");
    status == 0
}

#[test]
fn it_comes_to_what_a_real_su_comes_to() {
    need_root!();
    let (machine, alice) = machine("");
    machine.write(
        "/etc/pam.d/sub",
        "auth [success=done default=ignore] pam_unix.so\nauth requisite pam_deny.so\n",
        "0644",
    );
    machine.write(
        "/etc/pam.d/gate",
        "account required pam_permit.so\n",
        "0644",
    );
    let key_or_password = "auth [success=2 default=ignore] pam_succeed_if.so quiet user = nobody\n\
                           auth substack sub\n\
                           auth requisite pam_permit.so\n\
                           -auth [default=ignore] pam_not_there.so\n\
                           auth [success=ok ignore=ignore default=die] \\\n  pam_mfa.so [tries=1]\n\
                           auth required pam_permit.so\n";
    let stacks = [
        USUAL.to_owned(),
        key_or_password.to_owned(),
        format!("{key_or_password}account include gate\naccount required pam_deny.so\n"),
        "auth sufficient pam_unix.so\nauth required pam_mfa.so use_first_pass\n".to_owned(),
        "auth required pam_not_there.so\nauth required pam_unix.so\n".to_owned(),
        "auth required pam_unix.so\nnonsense\n".to_owned(),
        "auth [success=7 default=bad] pam_unix.so\n".to_owned(),
    ];
    let mut codes = alice.backup_codes.iter();
    let mut seen = Vec::new();
    for stack in &stacks {
        machine.stack("try", stack);
        machine.stack("su", stack);
        let asks = stack.contains("pam_mfa.so") && !stack.contains("use_first_pass");
        // What ends in a substack ends the substack alone.
        let asks_anyhow = stack.contains("substack");
        for password in [PASSWORD, "wrong"] {
            let mut typed = || {
                let mut typed = vec![(PASSWORD_PROMPT, password)];
                if asks && (password == PASSWORD || asks_anyhow) {
                    typed.push((CODE_PROMPT, codes.next().expect("a code")));
                }
                typed
            };
            let (status, shown) = tried(&machine, "alice", &typed());
            assert_eq!(status == 0, su(&machine, &typed()), "{stack}\n{shown}");
            seen.push(status == 0);
        }
    }
    let expected = [
        [true, false],
        [true, false],
        [false, false],
        [true, false],
        [false, false],
        [false, false],
        [false, false],
    ];
    assert_eq!(seen, expected.concat());
}

#[test]
fn lines_of_other_files_have_their_place_and_those_that_are_missing_are_named() {
    need_root!();
    let (machine, alice) = machine(
        "auth required pam_not_there.so\n\
         auth sufficient /opt/pam_permit.so\n\
         # nothing\n\
         @include mine\n\
         auth substack gone\n\
         account required pam_faildelay.so\n\
         -account required pam_neither.so\n\
         account include odd\n",
    );
    machine.write(
        "/etc/pam.d/mine",
        "auth optional pam_permit.so\n\nauth include \\\n  other-one\naccount required pam_permit.so\n",
        "0644",
    );
    machine.write("/etc/pam.d/odd", "auht required pam_permit.so\n", "0644");
    machine.write(
        "/etc/pam.d/other-one",
        "auth required pam_mfa.so\naccount required pam_deny.so\n",
        "0644",
    );
    let typed = [(CODE_PROMPT, &*alice.backup_codes[0])];
    let (status, shown) = tried(&machine, "alice", &typed);
    assert_eq!(
        below_the_warning(&shown),
        "pam_not_there.so (/etc/pam.d/try:1): cannot be loaded (for libpam that is module_unknown)\n\
         /opt/pam_permit.so (/etc/pam.d/try:2): cannot be loaded (for libpam that is module_unknown)\n\
         pam_faildelay.so (/etc/pam.d/try:6): is not made for this (for libpam that is module_unknown)\n\
         pam_neither.so (/etc/pam.d/try:7): cannot be loaded (for libpam that is module_unknown)\n\
         /etc/pam.d/odd:1: not understood; libpam refuses there\n\
         /etc/pam.d/try:5: not understood; libpam refuses there\n\
         pam_permit.so (/etc/pam.d/mine:1): success\n\
         pam_mfa.so (/etc/pam.d/other-one:1) asks\n\
         Verification code or backup code: \n\
         pam_mfa.so (/etc/pam.d/other-one:1) says: 9 backup codes are left.\n\
         pam_mfa.so (/etc/pam.d/other-one:1): success\n\n\
         Result: alice would be refused: Module is unknown\n"
    );
    assert_eq!(status, 1);
}

#[test]
fn who_breaks_off_has_the_terminal_back_and_leaves_nothing_running() {
    need_root!();
    let (machine, _) = machine(USUAL);
    let script = "trap : INT; mfa-admin test alice --service try; echo status $?; stty -a; pgrep pam-witness";
    let mut pty = machine.spawn_pty("root", &["sh", "-c", script]);
    pty.expect(PASSWORD_PROMPT);
    pty.send_line(PASSWORD);
    pty.expect(CODE_PROMPT);
    pty.send("\x03");
    let (status, shown) = pty.finish();
    let broken_off =
        "mfa-admin: no answer came. What was typed before counts all the same\r\nstatus 1\r\n";
    assert!(shown.contains(broken_off), "{shown}");
    assert!(shown.contains(" echo "), "{shown}");
    assert_eq!(status, 1, "pgrep found something: {shown}");

    // Or while nothing is asked.
    machine.stack(
        "try",
        "auth required pam_exec.so stdout /bin/sh -c [echo waits; exec sleep 1000]\n",
    );
    let mut pty = machine.spawn_pty("root", &["sh", "-c", script]);
    pty.expect("waits");
    pty.send("\x03");
    let (status, shown) = pty.finish();
    assert!(shown.contains("mfa-admin: it was broken off. "), "{shown}");
    assert_eq!(status, 1, "pgrep found something: {shown}");

    // The end of the input is no answer, either.
    let mut pty = test(&machine, "alice", &["--service", "login"]);
    pty.expect(PASSWORD_PROMPT);
    pty.send("\x04");
    let (status, shown) = pty.finish();
    assert!(status == 1 && shown.contains("no answer came"), "{shown}");
}

#[test]
fn what_is_preloaded_finds_the_c_library() {
    need_root!();
    let (machine, alice) = machine(USUAL);
    let library = "/usr/local/lib/clock.so";
    machine.copy_in(&locate::virtual_clock(), library, "0755");
    let preload = format!("LD_PRELOAD={library}");
    let words = [
        "env",
        &preload,
        "mfa-admin",
        "test",
        "alice",
        "--service",
        "try",
    ];
    let mut pty = machine.spawn_pty("root", &words);
    pty.expect(PASSWORD_PROMPT);
    pty.send_line(PASSWORD);
    pty.expect(CODE_PROMPT);
    pty.send_line(&code(&alice));
    let (status, shown) = pty.finish();
    assert_eq!(status, 0, "{shown}");
}

#[test]
fn a_module_that_ends_its_process_is_named() {
    need_root!();
    let (machine, _) = machine("auth required pam_exec.so quiet /bin/sh -c [kill -9 $PPID]\n");
    let (status, shown) = tried(&machine, "alice", &[]);
    let named = "mfa-admin: pam_exec.so (/etc/pam.d/try:1) did not come back: it ended with signal: 9 (SIGKILL)\n";
    assert!(status == 1 && shown.ends_with(named), "{shown}");
}

#[test]
fn more_lines_than_can_be_followed_are_not_tried() {
    need_root!();
    let (machine, _) = machine(&"auth required pam_permit.so\n".repeat(257));
    let (status, shown) = tried(&machine, "alice", &[]);
    let refused =
        "\nmfa-admin: the service has more lines than can be followed. Nothing was tried\n";
    assert!(status == 1 && shown.ends_with(refused), "{shown}");
}

#[test]
fn root_is_told_that_others_are_not_root() {
    need_root!();
    let (machine, _) = Machine::with_alice();
    let (status, shown) = test(&machine, "alice", &["--service", "su"]).finish();
    let rootok = machine.sh("grep -n '^auth.*pam_rootok' /etc/pam.d/su | cut -d: -f1");
    let rootok = format!("pam_rootok.so (/etc/pam.d/su:{})", rootok.trim());
    let why =
        format!("{rootok}: success: you are root. For others who call it the stack goes on\r\n");
    assert!(shown.contains(&why), "{shown}");
    let nothing = format!("Nothing was asked. It was right for {rootok}.\r\n");
    assert!(status == 0 && shown.contains(&nothing), "{shown}");
}

#[test]
fn strangers_are_refused_messages_are_shown_and_a_service_without_a_file_is_told() {
    need_root!();
    let (machine, _) =
        machine("auth required pam_echo.so for\u{7} %H\nauth required pam_nologin.so\n");
    machine.write("/etc/nologin", "closed\n", "0644");
    let mut pty = test(&machine, "bob", &["--service=TRY", "--rhost=192.0.2.7"]);
    pty.expect("pam_echo.so (/etc/pam.d/try:1) says: for\\u{7} 192.0.2.7\r\n");
    let (status, shown) = pty.finish();
    assert!(
        status == 1 && shown.contains("Result: bob would be refused: "),
        "{shown}"
    );

    machine.stack("try", USUAL);
    let typed = [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, "123456")];
    // As at any login, nothing tells whether they are enrolled, or there.
    for (user, typed) in [("bob", &typed[..1]), ("carol", &typed)] {
        let (status, shown) = tried(&machine, user, typed);
        let refused = "would be refused: Authentication failure\n";
        assert!(status == 1 && shown.ends_with(refused), "{shown}");
    }
    let mut pty = test(&machine, "alice", &["--service", "nowhere"]);
    pty.expect(
        "nowhere has no auth and no account lines of its own: libpam takes those of /etc/pam.d/other.\r\n",
    );
    pty.expect(PASSWORD_PROMPT);
    pty.send_line("wrong");
    assert_eq!(pty.finish().0, 1);
    machine.sh("rm /etc/pam.d/other");
    let (status, shown) = test(&machine, "alice", &["--service", "nowhere"]).finish();
    let neither =
        "The lines of nowhere cannot be shown: neither it nor the service \"other\" has a file.";
    assert!(shown.contains(neither), "{shown}");
    let result = "Result: alice would be refused: Critical error - immediate abort\r\n";
    assert!(status == 1 && shown.ends_with(result), "{shown}");
}

#[test]
fn it_is_for_root_at_a_terminal_of_the_running_system() {
    need_root!();
    let (machine, _) = machine(USUAL);
    let (status, shown) = machine
        .spawn_pty("carol", &["/usr/sbin/mfa-admin", "test", "alice"])
        .finish();
    assert!(
        status == 1 && shown.contains("this must run as root"),
        "{shown}"
    );
    let words = ["mfa-admin", "test", "alice", "--service", "try"];
    let piped = machine.run_with(&words, "x\n").failed();
    assert!(piped.stderr.contains("run it at a terminal"), "{piped:?}");
    assert_eq!(piped.stdout, "");
    let elsewhere = machine.run(&["mfa-admin", "--root", "/mnt", "test", "alice"]);
    assert!(elsewhere.failed().stderr.contains("leave --root out"));
}

#[test]
fn a_trial_is_no_proof_that_the_program_lets_in() {
    need_root!();
    let (machine, alice) = machine("auth required pam_unix.so\n");
    let enable = [
        "mfa-admin",
        "stack",
        "enable",
        "try",
        "--yes",
        "--confirm-within=1h",
    ];
    machine.run(&enable).ok();
    let typed = [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, &*code(&alice))];
    let (status, shown) = tried(&machine, "alice", &typed);
    assert!(status == 0, "{shown}");
    let early = machine
        .run(&["mfa-admin", "stack", "confirm"])
        .failed()
        .stderr;
    assert!(early.contains("nobody has logged in by try"), "{early}");
}
