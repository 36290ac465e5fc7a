//! Screen lockers.

use super::Finding;

/// Those that run as their user: the store is closed to them.
const LOCKERS: [&str; 19] = [
    "budgie-screensaver",
    "cinnamon-screensaver",
    "gnome-screensaver",
    "gtklock",
    "hyprlock",
    "i3lock",
    "i3lock-color",
    "kde",
    "kde-fingerprint",
    "kde-smartcard",
    "kscreensaver",
    "mate-screensaver",
    "swaylock",
    "ukui-screensaver-qt",
    "waylock",
    "xfce4-screensaver",
    "xlock",
    "xscreensaver",
    "xsecurelock",
];

/// Whether the service is one of them.
pub fn is_locker(name: &str) -> bool {
    LOCKERS.contains(&name)
}

/// For a service with our line.
pub fn examine(name: &str) -> Option<Finding> {
    is_locker(name).then(|| {
        let what = "a screen locker asks for a code, but runs without root and cannot check it: the screen stays locked";
        let mend = format!(
            "Let it ask for the password alone: echo 'auth include common-auth' >/etc/pam.d/{name}"
        );
        Finding::fault(name, what, mend)
    })
}
