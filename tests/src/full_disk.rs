//! A disk that is really full: a small file system of its own, seen by one thread alone.

use std::{fs, fs::File, io::Write, path::Path, thread};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

/// Runs `play` in a thread whose mounts nobody else sees; they go with it. Needs root.
pub fn with_own_mounts<T: Send>(play: impl FnOnce() -> T + Send) -> T {
    let alone = || {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("keep mounts private");
        play()
    };
    let played = thread::scope(|scope| scope.spawn(alone).join());
    played.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A file system of 64 KiB and 1024 inodes at `path`.
pub fn small_disk(path: &Path) {
    let options = Some("size=64k,nr_inodes=1024,mode=755");
    mount(
        Some("small"),
        path,
        Some("tmpfs"),
        MsFlags::empty(),
        options,
    )
    .expect("mount a tmpfs");
}

/// Takes it away again, so that the directory below can be removed.
pub fn unmount(path: &Path) {
    umount2(path, MntFlags::MNT_DETACH).expect("unmount the tmpfs");
}

/// Takes every byte and every inode that is left.
pub fn fill(path: &Path) {
    let mut file = File::create(path.join("filler")).expect("create the filler");
    while file.write_all(&[b'x'; 4096]).is_ok() {}
    let inodes = (0..).map_while(|n| File::create(path.join(format!("filler-{n}"))).ok());
    assert!(inodes.count() < 1024, "the file system has no limit");
}

/// Gives space and inodes back.
pub fn empty(path: &Path) {
    for entry in fs::read_dir(path).expect("list the file system") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().contains("filler") {
            fs::remove_file(path).expect("remove a filler");
        }
    }
}
