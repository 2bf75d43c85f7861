//! A page layout that is just enough for a report: headings, prose, tables and page numbers.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};

const PAGE: (f32, f32) = (595.0, 842.0); // A4 in points
const MARGIN: f32 = 64.0;
const ROW: f32 = 17.0;
const REGULAR: Name<'_> = Name(b"F1");
const BOLD: Name<'_> = Name(b"F2");

/// The widths of Helvetica's printable ASCII characters, in thousandths of the font's size.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// A document that is being written from top to bottom.
pub(crate) struct Document {
    title: String,
    pages: Vec<Content>,
    page: Content,
    y: f32,
}

impl Document {
    /// An empty document; the title is repeated at the foot of each page.
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), pages: Vec::new(), page: Content::new(), y: top() }
    }

    /// A heading, of the first level or below.
    pub(crate) fn heading(&mut self, text: &str, first: bool) {
        let size = if first { 22.0 } else { 14.0 };
        self.need(size * 4.0);
        self.y -= size * 1.4;
        self.page.set_fill_rgb(0.12, 0.25, 0.45);
        write(&mut self.page, BOLD, size, (MARGIN, self.y), text);
        self.page.set_fill_gray(0.0);
        self.y -= size * 0.7;
    }

    /// A paragraph, wrapped.
    pub(crate) fn paragraph(&mut self, text: &str) {
        const SIZE: f32 = 10.5;
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && width(&line, SIZE) + width(word, SIZE) > inner() - 4.0 {
                self.line(&line, SIZE);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&line, SIZE);
        self.y -= SIZE * 0.6;
    }

    fn line(&mut self, text: &str, size: f32) {
        self.need(size * 1.5);
        self.y -= size * 1.5;
        write(&mut self.page, REGULAR, size, (MARGIN, self.y), text);
    }

    /// A table; its head is repeated on each page. Cells that begin with a digit and hold no
    /// date are aligned to the right.
    pub(crate) fn table(&mut self, head: &[String], rows: &[Vec<String>]) {
        self.need(ROW * 4.0);
        self.row(head, Some(0.82), BOLD);
        for (place, row) in rows.iter().enumerate() {
            if self.need(ROW) {
                self.row(head, Some(0.82), BOLD);
            }
            self.row(row, (place % 2 == 1).then_some(0.955), REGULAR);
        }
    }

    fn row(&mut self, cells: &[String], shade: Option<f32>, font: Name<'_>) {
        const SIZE: f32 = 9.5;
        self.y -= ROW;
        if let Some(gray) = shade {
            self.page.set_fill_gray(gray).rect(MARGIN, self.y, inner(), ROW).fill_nonzero();
            self.page.set_fill_gray(0.0);
        }
        let column = inner() / cells.len().max(1) as f32;
        let mut x = MARGIN;
        for cell in cells {
            let number = cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains('-');
            // Numbers end where a heading of usual length does.
            let shift = if number { column * 0.55 - width(cell, SIZE) } else { 6.0 };
            write(&mut self.page, font, SIZE, (x + shift, self.y + 5.0), cell);
            x += column;
        }
    }

    /// Begins a new page if less than this is left, and says whether it did.
    fn need(&mut self, height: f32) -> bool {
        let full = self.y - height < MARGIN;
        if full {
            self.pages.push(std::mem::replace(&mut self.page, Content::new()));
            self.y = top();
        }
        full
    }

    /// The finished file and how many pages it has.
    pub(crate) fn finish(mut self) -> (Vec<u8>, usize) {
        self.pages.push(self.page);
        let count = self.pages.len();
        let mut next = 0;
        let mut id = || {
            next += 1;
            Ref::new(next)
        };
        let (catalog, tree, regular, bold) = (id(), id(), id(), id());
        let ids: Vec<(Ref, Ref)> = self.pages.iter().map(|_| (id(), id())).collect();
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree)
            .kids(ids.iter().map(|(page, _)| *page))
            .count(i32::try_from(count).unwrap_or(i32::MAX));
        for (font, name) in [(regular, "Helvetica"), (bold, "Helvetica-Bold")] {
            pdf.type1_font(font)
                .base_font(Name(name.as_bytes()))
                .encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        for ((number, mut content), (page_id, content_id)) in (1..).zip(self.pages).zip(ids) {
            foot(&mut content, &self.title, &format!("Page {number} of {count}"));
            let mut page = pdf.page(page_id);
            page.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(tree).contents(content_id);
            page.resources().fonts().pair(REGULAR, regular).pair(BOLD, bold);
            page.finish();
            pdf.stream(content_id, &content.finish());
        }
        (pdf.finish(), count)
    }
}

fn foot(page: &mut Content, title: &str, number: &str) {
    const SIZE: f32 = 8.5;
    page.set_stroke_gray(0.7).move_to(MARGIN, 48.0).line_to(PAGE.0 - MARGIN, 48.0).stroke();
    page.set_fill_gray(0.35);
    write(page, REGULAR, SIZE, (MARGIN, 36.0), title);
    write(page, REGULAR, SIZE, (PAGE.0 - MARGIN - width(number, SIZE), 36.0), number);
}

fn top() -> f32 {
    PAGE.1 - MARGIN
}

fn inner() -> f32 {
    PAGE.0 - 2.0 * MARGIN
}

fn write(page: &mut Content, font: Name<'_>, size: f32, (x, y): (f32, f32), text: &str) {
    // The built-in fonts know Latin-1; other characters have no place in these reports.
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
    page.begin_text().set_font(font, size).next_line(x, y).show(Str(&bytes)).end_text();
}

fn width(text: &str, size: f32) -> f32 {
    let of = |byte: u8| WIDTHS.get(usize::from(byte.wrapping_sub(b' '))).copied().unwrap_or(556);
    text.bytes().map(|byte| f32::from(of(byte))).sum::<f32>() * size / 1000.0
}
