//! The walk through a stack, as `pam_authenticate` does it.

use std::collections::{HashSet, VecDeque};

use crate::code::Code;
use crate::control::Action;
use crate::{Entry, Stack, What};

/// What a module said on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The place in [`Stack::entries`].
    pub at: usize,
    /// What the module there said.
    pub code: Code,
}

/// What was said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Said {
    Nothing,
    /// Whether it is a success that was said.
    Yes {
        success: bool,
    },
    No,
}

/// Between two modules.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    next: usize,
    said: Said,
    /// How deep in substacks the module before was.
    level: usize,
    /// What was said before each substack that we are in; the first is for the stack itself.
    before: Vec<Said>,
}

impl Stack {
    /// The shortest way to a success, if there is one, where each module may say any of what `says`
    /// has for it. None: nobody gets in, whatever happens.
    pub fn way_in(&self, says: impl Fn(&Entry) -> Vec<Code>) -> Option<Vec<Step>> {
        let end = |state: &State| state.next >= self.entries.len();
        let let_in = |state: &State| end(state) && state.said == (Said::Yes { success: true });
        self.way(says, let_in)
    }

    /// The shortest way to the module at this place of [`Stack::entries`]. None: it is never asked.
    pub fn way_to(&self, place: usize, says: impl Fn(&Entry) -> Vec<Code>) -> Option<Vec<Step>> {
        self.way(says, |state| state.next == place)
    }

    fn way(
        &self,
        says: impl Fn(&Entry) -> Vec<Code>,
        arrived: impl Fn(&State) -> bool,
    ) -> Option<Vec<Step>> {
        let start = State {
            next: 0,
            said: Said::Nothing,
            level: 0,
            before: vec![Said::Nothing],
        };
        let mut seen = HashSet::from([start.clone()]);
        let mut ways = VecDeque::from([(start, Vec::new())]);
        while let Some((mut state, way)) = ways.pop_front() {
            if arrived(&state) {
                return Some(way);
            }
            let Some(entry) = self.entries.get(state.next) else {
                continue;
            };
            if state.level < entry.level {
                state.before.truncate(entry.level);
                state.before.resize(entry.level + 1, state.said);
            }
            let codes = match entry.what {
                What::Substack => {
                    let after = State {
                        next: state.next + 1,
                        level: entry.level,
                        ..state
                    };
                    if seen.insert(after.clone()) {
                        ways.push_back((after, way));
                    }
                    continue;
                }
                What::Unreadable => vec![Code::PERM_DENIED],
                What::Module(..) => says(entry),
            };
            for code in codes {
                let after = self.after(&state, entry, code);
                if seen.insert(after.clone()) {
                    let at = state.next;
                    let way = [&way[..], &[Step { at, code }]].concat();
                    ways.push_back((after, way));
                }
            }
        }
        None
    }

    fn after(&self, state: &State, entry: &Entry, code: Code) -> State {
        let mut state = State {
            next: state.next + 1,
            level: entry.level,
            ..state.clone()
        };
        let agrees = matches!(state.said, Said::Nothing | Said::Yes { success: true });
        let yes = Said::Yes {
            success: code == Code::SUCCESS,
        };
        match entry.control.after(code) {
            Action::Ignore => {}
            Action::Reset => {
                state.said = state
                    .before
                    .get(entry.level)
                    .copied()
                    .unwrap_or(Said::Nothing);
            }
            action @ (Action::Ok | Action::Done) => {
                if agrees {
                    state.said = yes;
                }
                if action == Action::Done && state.said != Said::No {
                    state.next = self.end_of(state.next, entry.level);
                }
            }
            Action::Bad => state.said = Said::No,
            Action::Die => {
                state.said = Said::No;
                state.next = self.end_of(state.next, entry.level);
            }
            Action::Jump(lines) => {
                for _ in 0..lines {
                    if self
                        .level_at(state.next)
                        .is_none_or(|level| level < entry.level)
                    {
                        // libpam takes a jump beyond the end for a fault.
                        state.said = Said::No;
                        break;
                    }
                    state.next = self.behind(state.next, entry.level);
                }
            }
        }
        state
    }

    /// Where it goes on after a decision: behind the rest of the substack, or of everything.
    fn end_of(&self, mut next: usize, level: usize) -> usize {
        while self.level_at(next).is_some_and(|there| there >= level) {
            next += 1;
        }
        next
    }

    /// Behind the line, and behind the substack that it may be.
    fn behind(&self, line: usize, level: usize) -> usize {
        let mut next = line + 1;
        while self.level_at(next).is_some_and(|there| there > level) {
            next += 1;
        }
        next
    }

    fn level_at(&self, at: usize) -> Option<usize> {
        Some(self.entries.get(at)?.level)
    }
}
