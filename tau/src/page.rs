//! A page of code that is being written: lines, their indentation, and gaps between declarations.

/// As wide as rustfmt leaves a line by default.
const WIDTH: usize = 100;

pub(crate) struct Page {
    text: String,
    depth: usize,
    /// Whether a gap is due before what comes next.
    gap: bool,
    /// The length of the text after the last brace that was opened.
    opened: usize,
}

impl Page {
    pub(crate) fn new(first_line: &str) -> Self {
        let mut page = Self {
            text: String::new(),
            depth: 0,
            gap: false,
            opened: 0,
        };
        page.line(first_line);
        page.gap();
        page
    }

    pub(crate) fn line(&mut self, line: &str) {
        if std::mem::take(&mut self.gap) {
            self.text.push('\n');
        }
        if !line.is_empty() {
            self.text.extend(std::iter::repeat_n("    ", self.depth));
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    /// What ends here is set apart from what follows, if anything does.
    pub(crate) fn gap(&mut self) {
        self.gap = true;
    }

    /// `head {`
    pub(crate) fn open(&mut self, head: &str) {
        self.line(&format!("{head} {{"));
        self.opened = self.text.len();
        self.depth += 1;
    }

    /// The brace of the last `open`, on its line if nothing was written since.
    pub(crate) fn close(&mut self) {
        self.close_with("}");
    }

    pub(crate) fn close_with(&mut self, end: &str) {
        self.depth -= 1;
        self.gap = false;
        if self.opened == self.text.len() {
            self.text.pop();
            self.text.push_str(end);
            self.text.push('\n');
        } else {
            self.line(end);
        }
        self.gap();
    }

    /// `head { … }` around the lines that `inside` writes.
    pub(crate) fn block(&mut self, head: &str, inside: impl FnOnce(&mut Self)) {
        self.open(head);
        inside(self);
        self.close();
    }

    /// `head(parameters)tail` in one line, or one for each parameter if that gets too long.
    pub(crate) fn signature(&mut self, head: &str, parameters: &[String], tail: &str) {
        let line = format!("{head}({}){tail}", parameters.join(", "));
        if self.depth * 4 + line.len() <= WIDTH || parameters.is_empty() {
            return self.line(&line);
        }
        self.line(&format!("{head}("));
        self.depth += 1;
        for parameter in parameters {
            self.line(&format!("{parameter},"));
        }
        self.depth -= 1;
        self.line(&format!("){tail}"));
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}
