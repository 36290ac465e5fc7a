//! Other programs write what a stranger sent them.

use super::{
    VICTIM, at_sshd,
    scene::{Foreseen, Scene},
};

#[test]
fn lines_of_others_that_look_like_ours() {
    let scene = Scene::new();
    let mut foreseen = Foreseen::default();
    let mut tell = |tag: &str, text: &str| {
        scene.write(tag, text);
        foreseen.mailed(text);
    };
    for what in [
        "refused user=a reason=no-code",
        "missed user=a reason=no-code",
        "missed user=(unknown) reason=no-code",
        "granted user=a method=totp device=phone",
    ] {
        let text = at_sshd(what, VICTIM);
        tell("sshd", &text);
        for begin in [
            "Invalid user ",
            "Invalid user pam_mfa[1]: ",
            "x pam_mfa[1]: ",
        ] {
            tell("sshd", &format!("{begin}{text}"));
        }
        tell("pam_mfa", &format!("{text} x"));
        tell("pam_mfa", &format!("x {text}"));
    }
    foreseen.assert_in(&scene);
}
