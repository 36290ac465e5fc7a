//! Files and directories of ours that somebody replaced, opened up or filled with junk: refused at
//! once, and one line names the file and the repair. Nothing waits for a pipe or a device: a test
//! that hangs is ended by the limit of its client.

mod admin;
mod charges;
mod contents;
mod login;
mod place;
mod records;
mod repairs;
mod scene;
mod thing;
