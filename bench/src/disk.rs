//! What the disk alone takes for what a right code has to leave on it: no login can be faster.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    time::Instant,
};

use crate::stats::Samples;

/// As many bytes as ours writes for a right code: a slot of a state.
const OVERWRITTEN: [u8; 512] = [1; 512];

/// As many as google-authenticator does.
const REPLACED: [u8; 123] = [1; 123];

/// In a folder, in turn: a slot overwritten, as ours does; and a file replaced, as the others do. Each is on
/// disk before the next.
pub fn measure(dir: &Path, rounds: usize) -> Vec<(&'static str, Samples)> {
    let (mut overwrite, mut replace) = (Samples::default(), Samples::default());
    let (new, file) = (dir.join("disk.new"), dir.join("disk"));
    let slots = File::create_new(dir.join("disk.slots")).expect("make a file");
    slots.write_all_at(&[0; 4608], 0).expect("write");
    slots.sync_all().expect("sync");
    for round in 0..3 * rounds as u64 {
        overwrite.push(timed(|| {
            let at = round % 2 * 4096;
            slots.write_all_at(&OVERWRITTEN, at).expect("write");
            slots.sync_data().expect("sync");
        }));
        replace.push(timed(|| {
            let file_new = File::create(&new).expect("make a file");
            file_new.write_all_at(&REPLACED, 0).expect("write");
            file_new.sync_all().expect("sync");
            fs::rename(&new, &file).expect("rename");
        }));
    }
    vec![
        ("512 bytes overwritten, `fdatasync` (ours)", overwrite),
        (
            "a file of 123 bytes made, `fsync`, renamed (theirs)",
            replace,
        ),
    ]
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e6
}
