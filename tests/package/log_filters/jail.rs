//! The jail, and whom it bans.

use mfa_core::{
    fault::Fault,
    judge::Miss,
    verdict::{Refusal, Verdict},
};

use super::{module_line, scene::Scene, wait_until};

/// fail2ban as Debian starts it; a ban is a line in a file.
const BAN: &str = r#"
cat >/etc/fail2ban/action.d/note.conf <<'END'
[Definition]
actionban = echo <ip> >>/run/banned
END
cat >/etc/fail2ban/jail.d/pam_mfa.local <<'END'
[sshd]
enabled = false
[pam_mfa]
enabled = true
backend = polling
action = note
END
: >/run/banned
mkdir -p /run/fail2ban
fail2ban-client start >/run/fail2ban.out 2>&1
"#;

#[test]
fn the_jail_is_off_and_bans_who_guesses_once_it_is_on() {
    let scene = Scene::new();
    let machine = &scene.machine;
    let jails = || machine.run(&["fail2ban-client", "-d"]).ok().stdout;
    assert!(jails().contains("'sshd'"));
    assert!(!jails().contains("pam_mfa"));
    scene.settle();
    machine.sh(BAN);

    let guess = || Refusal::Missed(Miss::Wrong { clock_off: None });
    let tell = |text: &str| scene.write("pam_mfa", text);
    // A login with three answers.
    let thrice = |rhost: &str, refusal: fn() -> Refusal| {
        let verdict = Verdict::Refused(vec![refusal(), refusal(), refusal()]);
        tell(&module_line::missed(rhost, &refusal()));
        tell(&module_line::missed(rhost, &refusal()));
        tell(&module_line::decision(rhost, &verdict));
    };
    for _ in 0..10 {
        thrice("203.0.113.1", || Refusal::Fault(Fault::NoRandom));
        thrice("203.0.113.4", || Refusal::Password);
    }
    for rhost in ["203.0.113.2", "203.0.113.3", "2001:db8::7"] {
        (0..3).for_each(|_| thrice(rhost, guess));
    }
    let gone = Verdict::Refused(vec![guess(), Refusal::NoConversation]);
    tell(&module_line::decision("203.0.113.2", &gone));
    tell(&module_line::missed("203.0.113.3", &guess()));
    // Once this one is banned, all lines before have been seen.
    tell(&module_line::missed("2001:db8::7", &guess()));
    let banned = || machine.read("/run/banned");
    wait_until("a ban", || banned().contains("2001:db8::7"));
    assert_eq!(banned(), "203.0.113.3\n2001:db8::7\n");
    machine.run(&["fail2ban-client", "stop"]).ok();
}
