//! The memory of another process: what stands in it, and where.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::FileExt,
};

/// The shortest part of a secret that is looked for: what is freed loses its first bytes to the
/// allocator, and what is overwritten may do so in part.
const PART: usize = 8;

/// Something that should not be found.
#[derive(Clone, Debug)]
pub struct Secret {
    /// What it is.
    pub name: &'static str,
    bytes: Vec<u8>,
}

impl Secret {
    /// At least six bytes: fewer stand anywhere by chance.
    pub fn new(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        assert!(bytes.len() >= 6, "{name} is too short to be found");
        Self { name, bytes }
    }
}

/// Where something was found, as the kernel names it, and what.
pub type Found = BTreeSet<(String, &'static str)>;

/// What of the secrets stands in the process's memory, whole or in part.
pub fn find(pid: u32, secrets: &[Secret]) -> Found {
    let parts = Parts::of(secrets);
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("list the mappings");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("open the memory");
    let mut found = Found::new();
    for mapping in maps.lines().filter_map(Mapping::parse) {
        let content = mapping.read(&memory);
        let names = parts.in_(&content);
        found.extend(names.into_iter().map(|name| (mapping.name.clone(), name)));
    }
    found
}

struct Mapping {
    start: u64,
    end: u64,
    /// Empty for anonymous memory.
    name: String,
}

impl Mapping {
    /// A line of `/proc/PID/maps`; none for what cannot be read.
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        let (start, end) = words[0].split_once('-').expect("two addresses");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let name = words.get(5).copied().unwrap_or_default();
        // The kernel's own pages.
        let own = name.starts_with("[v");
        (words[1].starts_with('r') && !own).then(|| Self {
            start: address(start),
            end: address(end),
            name: name.to_owned(),
        })
    }

    fn read(&self, memory: &File) -> Vec<u8> {
        let mut content = vec![0; (self.end - self.start) as usize];
        let read = memory.read_exact_at(&mut content, self.start);
        read.unwrap_or_else(|error| panic!("read from {:x}: {error}", self.start));
        content
    }
}

/// All that is looked for, by its first two bytes.
struct Parts<'s> {
    by_start: Vec<Vec<(&'s [u8], &'static str)>>,
}

impl<'s> Parts<'s> {
    fn of(secrets: &'s [Secret]) -> Self {
        let mut by_start = vec![Vec::new(); 1 << 16];
        for secret in secrets {
            for part in secret.bytes.windows(secret.bytes.len().min(PART)) {
                by_start[start(part)].push((part, secret.name));
            }
        }
        Self { by_start }
    }

    fn in_(&self, content: &[u8]) -> BTreeSet<&'static str> {
        let mut found = BTreeSet::new();
        // A page that was never written to holds nothing.
        let pages = (0..content.len()).step_by(4096);
        for page in pages.filter(|page| content[*page..*page + 4096] != [0; 4096]) {
            for at in page..(page + 4096).min(content.len() - 1) {
                let here = &self.by_start[start(&content[at..])];
                let here = here
                    .iter()
                    .filter(|(part, _)| content[at..].starts_with(part));
                found.extend(here.map(|(_, name)| *name));
            }
        }
        found
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([bytes[0], bytes[1]]))
}
