//! Accounts and records.

use super::{COMMON, OURS, assert_found, assert_found_after, healthy};

#[test]
fn an_account_that_was_made_anew_is_told() {
    let sandbox = healthy();
    // She came back with another number, and hers is somebody else's.
    sandbox.remove_account("alice");
    sandbox.add_account("alice", 2077);
    sandbox.add_account("mallory", 2001);
    let told = [
        "no user of that name has the user id 2001",
        "mfa-admin disable --uid 2001",
    ];
    assert_found(&sandbox, "su", 2, &told);
}

#[test]
fn who_is_not_enrolled_is_named() {
    let (script, code, words) =
(
            "echo /bin/sh >etc/shells
             printf 'bob:x:2002:2002::/:/bin/sh\\nd:x:2:2::/:/bin/false\\nalice:x:2001:2001::/:/bin/sh\\n' >etc/passwd
             printf 'e:x:2003:2003::/:/bin/sh\\n' >>etc/passwd; echo 'e:!:1::::::' >etc/shadow",
            1,
            &["su: not enrolled, and refused for it: bob."],
        );
    assert_found_after(script, code, words);
}

#[test]
fn two_names_of_one_user_are_told() {
    let passwd = "echo /bin/sh >etc/shells; printf 'alice:x:2001:2001::/:/bin/sh\\n";
    assert_found_after(
        &format!("{passwd}ally:x:2001:2001::/:/bin/false\\n' >etc/passwd"),
        1,
        &[
            "etc/passwd: alice, ally share the user id 2001",
            "usermod --uid NEW ally",
        ],
    );
    // Nobody logs in as these.
    assert_found_after(
        &format!("{passwd}a:x:7:7::/:/bin/false\\nb:x:7:7::/:/bin/false\\n+::::::\\n' >etc/passwd"),
        0,
        &[],
    );
}

#[test]
fn an_empty_password_and_nullok_are_a_hole() {
    let sandbox = healthy();
    sandbox.write(
        "etc/shadow",
        "alice:$y$x:1::::::\nbob::1::::::\nlocked:!:1::::::\n",
    );
    let told = [
        "/etc/pam.d/common-auth:1 lets in without one (nullok)",
        "asked for: bob.",
        "Run: passwd bob;",
    ];
    assert_found(&sandbox, "su", 2, &told);
    sandbox.write("etc/pam.d/common-auth", &COMMON.replace(" nullok", ""));
    assert_found(&sandbox, "su", 0, &[]);
    sandbox.write("etc/pam.d/common-auth", COMMON);
    sandbox.write("etc/shadow", "");
    sandbox.write("etc/passwd", "carol::2003:2003::/:/bin/sh\n");
    sandbox.write("etc/pam.d/su", &format!("@include common-auth\n{OURS}"));
    assert_found(&sandbox, "su", 2, &["asked for: carol."]);
    // sshd takes no empty password.
    let stack = format!("@include common-auth\n{OURS}");
    sandbox.write("etc/pam.d/sshd", &stack);
    assert_found(&sandbox, "sshd", 0, &[]);
}
