//! Proof that the harness drives what it claims to drive, without the module under test.

use std::{fs, os::unix::net::UnixDatagram, thread, time::Duration};

use mfa_tests::{
    PASSWORD,
    machine::Machine,
    need, need_root,
    oath::{Oath, code_at},
    pam::{self, Reply},
    pty::Pty,
    sandbox::Sandbox,
    sshd::Sshd,
};

/// Asks for a password, with the accounts of the sandbox, with or without root.
const ASKS: &str = "auth required pam_unix.so\naccount required pam_permit.so\n";

#[test]
fn permit_and_deny() {
    let sandbox =
        Sandbox::with_stack("auth required pam_permit.so\naccount required pam_permit.so");
    let outcome = sandbox.login("alice", &[]);
    assert!(outcome.granted(), "{outcome:#?}");
    assert_eq!(outcome.acct_mgmt, Some(0));
    assert!(outcome.prompts.is_empty());

    sandbox.stack("auth required pam_deny.so");
    let outcome = sandbox.login("alice", &[]);
    assert_eq!((outcome.code, outcome.setcred), (pam::AUTH_ERR, None));
}

#[test]
fn password_is_asked_and_judged() {
    let sandbox = Sandbox::with_stack(ASKS);
    let outcome = sandbox.login("alice", &[PASSWORD]);
    assert!(outcome.granted(), "{outcome:#?}");
    assert_eq!(outcome.prompts, ["Password: "]);
    assert_eq!(outcome.stderr, "");

    let outcome = sandbox.login("alice", &["wrong"]);
    assert_eq!(outcome.code, pam::AUTH_ERR);
    let delay = outcome.delay_usec.expect("pam_unix asks for two seconds");
    assert!((1_000_000..=3_000_000).contains(&delay), "{delay}");
}

#[test]
fn step_by_step() {
    let sandbox = Sandbox::with_stack(ASKS);
    let mut session = sandbox
        .client("bob")
        .rhost("203.0.113.7")
        .tty("ssh")
        .start();
    let prompt = session.prompt();
    assert_eq!((prompt.echo, &*prompt.text), (false, "Password: "));
    session.answer(PASSWORD);
    assert_eq!(session.next_prompt(), None);
    assert!(session.finish().granted());
}

#[test]
fn accounts_can_be_added_and_removed() {
    let sandbox = Sandbox::with_stack(ASKS);
    assert_ne!(sandbox.login("toor", &[PASSWORD]).code, 0);
    sandbox.add_account("toor", 0);
    assert_eq!(sandbox.login("toor", &[PASSWORD]).code, 0);
    sandbox.remove_account("toor");
    assert_ne!(sandbox.login("toor", &[PASSWORD]).code, 0);
}

#[test]
fn broken_conversations() {
    let sandbox = Sandbox::with_stack(ASKS);
    for reply in [
        Reply::Null,
        Reply::NullArray,
        Reply::Error(pam::CONV_ERR),
        Reply::Error(4242),
        Reply::Text(b"\xff\xfe".to_vec()),
        Reply::Text(vec![b'A'; 1 << 20]),
    ] {
        let mut session = sandbox.client("alice").start();
        session.prompt();
        session.reply(reply.clone());
        let outcome = session.finish();
        assert!(!outcome.granted(), "{reply:?} {outcome:#?}");
    }
    let outcome = sandbox
        .client("alice")
        .null_conversation()
        .login(&[PASSWORD]);
    assert!(!outcome.granted() && outcome.prompts.is_empty());
}

#[test]
fn an_unfinished_conversation_can_be_resumed() {
    let sandbox = Sandbox::with_stack(ASKS);
    let mut session = sandbox.client("alice").calls(2).start();
    session.prompt();
    session.reply(Reply::Error(pam::CONV_AGAIN));
    session.prompt();
    session.answer(PASSWORD);
    // pam_unix says PAM_AUTHTOK_ERR where PAM_INCOMPLETE would be due.
    assert_eq!(session.finish().codes, [20, pam::SUCCESS]);
}

#[test]
fn a_client_that_is_left_alone_ends() {
    let sandbox = Sandbox::with_stack(ASKS);
    let mut session = sandbox.client("alice").start();
    session.prompt();
    assert_ne!(session.finish().code, 0);
}

#[test]
#[should_panic(expected = "the client hangs")]
fn a_client_that_hangs_is_noticed() {
    let sandbox = Sandbox::with_stack(ASKS);
    let limit = Duration::from_millis(300);
    let sleeps = sandbox
        .client("alice")
        .under(&["sh", "-c", "exec sleep 60"]);
    sleeps.limit(limit).start().prompt();
}

#[test]
fn rounds_calls_and_threads() {
    let sandbox = Sandbox::with_stack(ASKS);
    let right = Reply::Text(PASSWORD.into());
    let outcome = sandbox.client("alice").always(right).rounds(10).login(&[]);
    assert_eq!(outcome.prompts.len(), 10);
    assert_eq!(outcome.memory.len(), 2);
    assert_eq!(outcome.memory[0].1, outcome.memory[1].1);

    let outcome = sandbox.client("alice").in_thread().login(&[PASSWORD]);
    assert!(outcome.granted(), "{outcome:#?}");
    let outcome = sandbox
        .client("alice")
        .skip_authenticate()
        .session()
        .login(&[]);
    assert_eq!((outcome.acct_mgmt, outcome.codes.len()), (Some(0), 0));
    assert!(outcome.open_session.is_some());
}

#[test]
fn the_clock_is_ours() {
    // libpam stirs the time into the delay, and nothing else in these stacks knows the time: ask date(1).
    let sandbox = Sandbox::with_stack(ASKS);
    sandbox.at(1_111_111_109);
    let mut date = std::process::Command::new("date");
    date.arg("+%s").envs(sandbox.environment(None));
    assert_eq!(
        mfa_tests::command::run(&mut date, "").ok().stdout,
        "1111111109\n"
    );
    // The client lives under it.
    assert!(sandbox.login("alice", &[PASSWORD]).granted());
}

#[test]
fn a_client_runs_under_another_command() {
    let sandbox = Sandbox::with_stack(ASKS);
    let trace = sandbox.path("trace");
    let trace = trace.to_str().expect("a path in UTF-8");
    let client = sandbox.client("alice").env("LC_MESSAGES", "C");
    let strace = ["strace", "-f", "-e", "trace=openat", "-o", trace];
    assert!(client.under(&strace).login(&[PASSWORD]).granted());
    let trace = fs::read_to_string(trace).expect("the trace");
    assert!(trace.contains("pam_unix.so"), "{trace}");
}

#[test]
fn a_terminal_belongs_to_its_program() {
    let mut shell = std::process::Command::new("sh");
    shell.args([
        "-c",
        "stty -echo; echo on $(tty); read line </dev/tty; echo got $line; exit 3",
    ]);
    let mut pty = Pty::spawn(shell);
    pty.expect("on ");
    assert_eq!(pty.expect("\r\n"), pty.device());
    pty.send_line("a line");
    assert_eq!(pty.finish(), (3, "got a line\r\n".to_owned()));
}

#[test]
fn clients_run_side_by_side() {
    let sandbox = Sandbox::with_stack(ASKS);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(sandbox.login("carol", &[PASSWORD]).granted()));
        }
    });
}

#[test]
fn the_log_is_collected() {
    let sandbox = Sandbox::with_stack(ASKS);
    let socket = sandbox.path("dev/log");
    let sender = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    for number in 0..100 {
        let line = format!("line {number}");
        sender
            .send_to(line.as_bytes(), &socket)
            .expect("log a line");
    }
    let lines = sandbox.log();
    assert_eq!((lines.len(), &*lines[99]), (100, "line 99"));
    assert_eq!(sandbox.log().len(), 100);
}

#[test]
#[should_panic = "the log tells"]
fn a_typed_answer_in_the_log_is_noticed() {
    let sandbox = Sandbox::with_stack(ASKS);
    sandbox.login("alice", &["123 456"]);
    let log = UnixDatagram::unbound().expect("a socket");
    let line = b"<86>app[7]: alice typed 123456";
    log.send_to(line, sandbox.path("dev/log")).expect("log");
}

#[test]
fn codes_are_those_of_rfc_6238() {
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    assert_eq!(code_at(secret, 59), "287082");
    let eight = Oath {
        digits: 8,
        ..Oath::new(secret)
    };
    assert_eq!(eight.code_at(1_111_111_109), "07081804");
}

#[test]
fn a_machine_is_a_world_of_its_own() {
    need_root!();
    let before = fs::read("/etc/passwd").expect("the real accounts");
    let machine = Machine::start();
    machine.add_user("alice");
    assert!(machine.sh("id alice").contains("(alice)"));
    machine.write("/etc/pam_mfa/some file", "text\n", "0640");
    assert_eq!(machine.read("/etc/pam_mfa/some file"), "text\n");
    assert_eq!(machine.sh("stat -c %a '/etc/pam_mfa/some file'"), "640\n");
    assert!(!fs::exists("/etc/pam_mfa/some file").expect("look outside"));
    assert_eq!(machine.sh("hostname; cat /proc/1/comm"), "machine\ncat\n");
    assert_eq!(fs::read("/etc/passwd").expect("the real accounts"), before);

    machine.sh("logger --tag harness 'a line'");
    assert!(
        machine
            .log()
            .iter()
            .any(|line| line.contains("harness: a line"))
    );
}

#[test]
fn a_machine_ends_with_everything_in_it() {
    need_root!();
    let machine = Machine::start();
    let mut sleeper = machine
        .command(&["sleep", "1000"])
        .spawn()
        .expect("start sleep");
    drop(machine);
    let status = sleeper.wait().expect("wait for nsenter");
    assert!(!status.success());
}

#[test]
fn ssh_asks_through_pam() {
    need_root!();
    need!("/usr/sbin/sshd");
    let machine = Machine::start();
    machine.add_user("alice");
    let sshd = Sshd::start(&machine, "AuthenticationMethods keyboard-interactive");
    let mut ssh = sshd.ssh("alice", &["-oNumberOfPasswordPrompts=2"], "id -un");
    ssh.expect("Password: ");
    ssh.send_line("wrong");
    ssh.expect("Password: ");
    ssh.send_line(PASSWORD);
    ssh.expect("\n");
    let (code, shown) = ssh.finish();
    assert_eq!((code, &*shown), (0, "alice\r\n"), "{:#?}", sshd.log());
    assert!(
        machine
            .log()
            .iter()
            .any(|line| line.contains("pam_unix(sshd:auth)"))
    );
}

#[test]
fn ssh_with_a_key_and_then_pam() {
    need_root!();
    need!("/usr/sbin/sshd");
    let machine = Machine::start();
    machine.add_user("alice");
    let sshd = Sshd::start(
        &machine,
        "AuthenticationMethods publickey,keyboard-interactive",
    );
    let key = sshd.authorize_key("alice");
    let mut ssh = sshd.ssh("alice", &["-i", key], "id -un");
    ssh.expect("Password: ");
    ssh.send_line(PASSWORD);
    let (code, shown) = ssh.finish();
    assert_eq!((code, shown.trim()), (0, "alice"), "{:#?}", sshd.log());
}

#[test]
fn login_asks_on_a_terminal() {
    need_root!();
    need!("/bin/login");
    let machine = Machine::start();
    machine.add_user("alice");
    let mut login = machine.spawn_pty("root", &["login"]);
    login.expect("login: ");
    login.send_line("alice");
    login.expect("Password: ");
    login.send_line(PASSWORD);
    login.expect("$ ");
    login.send_line("echo I am $(id -un) on $(tty)");
    login.expect(&format!("I am alice on {}", login.device().to_owned()));
    login.send_line("exit");
    assert_eq!(login.finish().0, 0);
}

#[test]
fn su_asks_an_ordinary_user() {
    need_root!();
    let machine = Machine::start();
    machine.add_user("alice");
    machine.add_user("bob");
    let mut su = machine.spawn_pty(
        "bob",
        &["su", "-", "alice", "-c", "id -un; ps -o sid= -p $PPID"],
    );
    su.expect("Password: ");
    su.send_line(PASSWORD);
    su.expect("alice\r\n");
    let (code, shown) = su.finish();
    assert_eq!(code, 0);
    // The session's leader is known inside the machine.
    assert_ne!(shown.trim(), "0");
}

#[test]
fn sudo_asks_an_ordinary_user() {
    need_root!();
    need!("/usr/bin/sudo");
    let machine = Machine::start();
    machine.add_user("bob");
    machine.write("/etc/sudoers.d/bob", "bob ALL=(ALL) ALL\n", "0440");
    let mut sudo = machine.spawn_pty("bob", &["sudo", "id", "-un"]);
    sudo.expect("password for bob: ");
    sudo.send_line(PASSWORD);
    sudo.expect("root\r\n");
    assert_eq!(sudo.finish().0, 0);
}
