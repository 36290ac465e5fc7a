//! What may lie in the place of a file or directory of ours, or be wrong with it.

use std::{
    fs::{self, File, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        net::UnixDatagram,
    },
    path::Path,
    process::Command,
};

use mfa_tests::command::run;

use crate::place::Place;

/// Something hostile.
pub struct Thing {
    pub name: &'static str,
    /// Makes it at the first path. Beside the second, outside of the store, there is room for what
    /// was there before.
    pub make: fn(&Path, &Path),
    /// Whether it can be there.
    pub fits: fn(Place) -> bool,
    /// What is said about it: of a file, of a directory.
    pub what: [&'static str; 2],
    /// How to mend it.
    pub repair: Repair,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    MoveAway,
    Chown,
    Chmod,
}

const LINK: [&str; 2] = ["is a symbolic link"; 2];
const KIND: [&str; 2] = ["is not a regular file", "is not a directory"];
const OPEN: [&str; 2] = ["is open to others"; 2];

/// Things that anybody can make.
pub const COMMON: [Thing; 7] = [
    replacing("a link to ours", LINK, |path, away| {
        symlink(away, path).expect("make a link");
    }),
    replacing("a link to nowhere", LINK, |path, _| {
        symlink("/nowhere/at/all", path).expect("make a link");
    }),
    replacing("a link to itself", LINK, |path, _| {
        symlink(path, path).expect("make a link");
    }),
    replacing("a FIFO", KIND, |path, _| make_node(path, &["p"])),
    replacing("a socket", KIND, |path, away| {
        // The name of a socket must be short.
        let short = away.with_file_name("s");
        UnixDatagram::bind(&short).expect("make a socket");
        fs::rename(short, path).expect("move the socket");
    }),
    Thing {
        fits: Place::is_file,
        ..replacing("a directory", KIND, |path, _| {
            fs::create_dir(path).expect("make a directory");
        })
    },
    Thing {
        fits: |place| !place.is_file(),
        ..replacing("a file", KIND, |path, _| {
            fs::write(path, "").expect("make a file");
        })
    },
];

/// What can be wrong with a file that is ours.
pub const FLAWS: [Thing; 5] = [
    opened(
        "readable by the group",
        |place| !place.is_readable(),
        |path, _| open_up(path, 0o040),
    ),
    opened(
        "readable by all",
        |place| !place.is_readable(),
        |path, _| open_up(path, 0o004),
    ),
    opened(
        "writable by the group",
        |_| true,
        |path, _| open_up(path, 0o020),
    ),
    opened("writable by all", |_| true, |path, _| open_up(path, 0o002)),
    Thing {
        name: "a gigabyte",
        make: |path, _| {
            let file = File::options().append(true).open(path).expect("open");
            file.set_len(1 << 30).expect("grow the file");
        },
        fits: Place::is_file,
        what: ["is larger than any of ours"; 2],
        repair: Repair::MoveAway,
    },
];

/// What only root can make.
pub const ROOTS: [Thing; 5] = [
    replacing("a device without end", KIND, |path, _| {
        make_node(path, &["c", "1", "5"])
    }),
    replacing("the terminal", KIND, |path, _| {
        make_node(path, &["c", "5", "0"])
    }),
    replacing("a device without driver", KIND, |path, _| {
        make_node(path, &["c", "10", "254"])
    }),
    replacing("a disk without driver", KIND, |path, _| {
        make_node(path, &["b", "240", "0"])
    }),
    Thing {
        name: "a foreign owner",
        make: |path, _| chown(path, Some(12_345), None).expect("give the file away"),
        fits: |_| true,
        what: ["does not belong to root"; 2],
        repair: Repair::Chown,
    },
];

const fn replacing(name: &'static str, what: [&'static str; 2], make: fn(&Path, &Path)) -> Thing {
    Thing {
        name,
        make,
        fits: |_| true,
        what,
        repair: Repair::MoveAway,
    }
}

const fn opened(name: &'static str, fits: fn(Place) -> bool, make: fn(&Path, &Path)) -> Thing {
    Thing {
        name,
        make,
        fits,
        what: OPEN,
        repair: Repair::Chmod,
    }
}

impl Thing {
    /// Puts it there. What was there lies at `away` afterwards, if it was replaced.
    pub fn put(&self, path: &Path, away: &Path) {
        if self.repair == Repair::MoveAway && (self.what == LINK || self.what == KIND) {
            fs::rename(path, away).expect("move ours away");
        }
        (self.make)(path, away);
    }

    pub fn what(&self, place: Place) -> &'static str {
        self.what[usize::from(!place.is_file())]
    }

    /// The words that name the repair.
    pub fn repair_of(&self, place: Place, path: &Path) -> String {
        let path = path.display();
        match (self.repair, place.is_readable()) {
            (Repair::MoveAway, _) => "move it away".to_owned(),
            (Repair::Chown, _) => format!("then: chown root {path}"),
            (Repair::Chmod, false) => format!("then: chmod go= {path}"),
            (Repair::Chmod, true) => format!("then: chmod go-w {path}"),
        }
    }
}

fn make_node(path: &Path, kind: &[&str]) {
    run(Command::new("mknod").arg(path).args(kind), "").ok();
}

fn open_up(path: &Path, bit: u32) {
    let mode = fs::metadata(path).expect("look at it").permissions().mode();
    fs::set_permissions(path, Permissions::from_mode(mode | bit)).expect("open it up");
}
