//! Numbers of which each has its own range, as one long number.

const TOP: u32 = 1 << 24;
const BOTTOM: u32 = 1 << 16;

#[derive(Debug)]
pub(super) struct Encoder<'a> {
    low: u32,
    range: u32,
    out: &'a mut Vec<u8>,
    end: usize,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, max: usize) -> Self {
        let end = out.len() + max;
        Self {
            low: 0,
            range: u32::MAX,
            out,
            end,
        }
    }

    /// Writes what takes `count` of `total` from `under` on; nothing if there is no room.
    pub(super) fn encode(&mut self, under: u32, count: u16, total: u16) -> Option<()> {
        self.range /= u32::from(total);
        self.low = self.low.wrapping_add(under.wrapping_mul(self.range));
        self.range = self.range.wrapping_mul(u32::from(count));
        while normalize(self.low, &mut self.range) {
            self.put()?;
            self.range <<= 8;
        }
        Some(())
    }

    pub(super) fn finish(mut self) -> Option<()> {
        while self.low != 0 {
            self.put()?;
        }
        Some(())
    }

    fn put(&mut self) -> Option<()> {
        if self.out.len() >= self.end {
            return None;
        }
        self.out.push((self.low >> 24) as u8);
        self.low <<= 8;
        Some(())
    }
}

#[derive(Debug)]
pub(super) struct Decoder<'a> {
    low: u32,
    code: u32,
    range: u32,
    input: std::slice::Iter<'a, u8>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        let mut decoder = Self {
            low: 0,
            code: 0,
            range: u32::MAX,
            input: input.iter(),
        };
        for _ in 0..4 {
            decoder.shift();
        }
        decoder
    }

    /// Where in `total` the next one is.
    pub(super) fn read(&mut self, total: u16) -> u16 {
        self.range /= u32::from(total);
        (self.code.wrapping_sub(self.low) / self.range) as u16
    }

    /// Goes on after what was read.
    pub(super) fn decode(&mut self, under: u32, count: u16) {
        self.low = self.low.wrapping_add(under.wrapping_mul(self.range));
        self.range = self.range.wrapping_mul(u32::from(count));
        while normalize(self.low, &mut self.range) {
            self.shift();
            self.range <<= 8;
            self.low <<= 8;
        }
    }

    /// After the end there are zeros.
    fn shift(&mut self) {
        let next = self.input.next().copied().unwrap_or(0);
        self.code = self.code << 8 | u32::from(next);
    }
}

/// Whether the uppermost byte is certain; a range that is too small is cut so that it is.
fn normalize(low: u32, range: &mut u32) -> bool {
    if low ^ low.wrapping_add(*range) < TOP {
        return true;
    }
    if *range >= BOTTOM {
        return false;
    }
    *range = low.wrapping_neg() & (BOTTOM - 1);
    true
}
