//! Which unsequenced packets have come already.

const SIZE: u32 = 1024;
/// How many windows further a packet may be and still counts as new.
const FUTURE: u32 = 32;

/// The last window of numbers, a bit for each.
#[derive(Debug)]
pub(crate) struct Unsequenced {
    begin: u16,
    seen: [u64; SIZE as usize / 64],
}

impl Default for Unsequenced {
    fn default() -> Self {
        Self {
            begin: 0,
            seen: [0; SIZE as usize / 64],
        }
    }
}

impl Unsequenced {
    /// Notes a packet; says whether it is new.
    pub(crate) fn is_new(&mut self, group: u16) -> bool {
        let turn = if group < self.begin { 0x1_0000 } else { 0 };
        if u32::from(group) + turn >= u32::from(self.begin) + FUTURE * SIZE {
            return false;
        }
        let index = u32::from(group) % SIZE;
        let begin = group - index as u16;
        if begin != self.begin {
            *self = Self {
                begin,
                ..Self::default()
            };
        }
        let bits = &mut self.seen[index as usize / 64];
        let mark = 1 << (index % 64);
        let is_new = *bits & mark == 0;
        *bits |= mark;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_new_once_and_what_is_far_behind_never() {
        let mut seen = Unsequenced::default();
        // Twice around.
        for n in 1..150_000_u32 {
            assert!(seen.is_new(n as u16), "{n}");
            assert!(!seen.is_new(n as u16), "{n}");
        }
        let current = 149_999_u32 as u16;
        assert!(!seen.is_new(current.wrapping_sub(2000)));
        assert!(!seen.is_new(current.wrapping_add(40 * 1024)));
        assert!(seen.is_new(current.wrapping_add(30 * 1024)));
    }
}
