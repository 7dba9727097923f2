//! `categories_log`: what kinds of games there are, as a tree of three levels.

use super::{
    calendar::Days,
    cells::Cell,
    history::{History, Pace, State, Step},
    names,
    random::{Random, scale},
    table::{Log, Table, Type},
};

/// The table.
pub(super) const CATEGORIES: Table = Table {
    name: "categories_log",
    key: &["category_id"],
    columns: &[
        ("category_id", Type::Integer),
        ("parent_category_id", Type::Integer),
        ("name", Type::Text),
        ("level", Type::Integer),
        ("status", Type::Text),
    ],
    log: Log::Versions,
};

const ROOTS: [&str; 8] = ["Strategy", "Family", "Party", "Cooperative", "Card", "Dice", "Children's", "Puzzle"];
const BRANCHES: [&str; 24] = [
    "Economic",
    "War",
    "Civilization",
    "Travel",
    "Animal",
    "Sports",
    "Trivia",
    "Drawing",
    "Bluffing",
    "Adventure",
    "Detective",
    "Survival",
    "Trick-taking",
    "Deck-building",
    "Collecting",
    "Rolling",
    "Racing",
    "Betting",
    "Memory",
    "Counting",
    "Story",
    "Logic",
    "Jigsaw",
    "Word",
];
const THEMES: [&str; 16] = [
    "Medieval",
    "Space",
    "Railway",
    "Farming",
    "Pirate",
    "Fantasy",
    "Nature",
    "City",
    "Ancient",
    "Steampunk",
    "Ocean",
    "Arctic",
    "Industrial",
    "Mythical",
    "Culinary",
    "Modern",
];

/// Roots and branches stay; promotion groups may name them.
pub(super) const LASTING: u32 = 32;
const FOUNDING: u32 = LASTING + 48;

/// A category's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Category {
    /// Below which it stands; none at a root.
    pub(super) parent: Option<u32>,
    /// Words before the kind of the branch; of a leaf only.
    theme: Option<&'static str>,
    kind: &'static str,
    /// Renamed ones are called by another word.
    noun: &'static str,
    is_active: bool,
}

const NOUNS: [&str; 3] = ["games", "board games", "titles"];

impl Category {
    fn founding(row: u32, random: Random) -> Self {
        let at = row as usize;
        let (parent, theme, kind) = match row {
            0..8 => (None, None, ROOTS[at]),
            8..LASTING => (Some((row - 8) / 3), None, BRANCHES[at - 8]),
            _ => return Self::leaf(8 + (row - LASTING) / 2, random),
        };
        Self { parent, theme, kind, noun: NOUNS[0], is_active: true }
    }

    fn leaf(branch: u32, random: Random) -> Self {
        let theme = Some(names::pick(&THEMES, random.high()));
        Self { parent: Some(branch), theme, kind: BRANCHES[branch as usize - 8], noun: NOUNS[0], is_active: true }
    }
}

/// Whether a category is a leaf, of the third level.
pub(super) fn is_leaf(row: u32) -> bool {
    row >= LASTING
}

impl State for Category {
    const TABLE: &'static Table = &CATEGORIES;

    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell> {
        let (kind, noun) = (self.kind, self.noun);
        let name = self
            .theme
            .map_or_else(|| format!("{kind} {noun}"), |theme| format!("{theme} {} {noun}", kind.to_lowercase()));
        let level = match row {
            0..8 => 1,
            8..LASTING => 2,
            _ => 3,
        };
        let status = if self.is_active { "active" } else { "closed" };
        [Cell::id(row), self.parent.map(Cell::id).into(), name.into(), level.into(), status.into()]
    }
}

/// Renames everywhere; leaves also move below another branch, close, are deleted and added.
pub(super) fn fold(random: Random, days: &Days) -> History<Category> {
    let founding = random.split(0);
    let states = (0..FOUNDING).map(|row| Category::founding(row, founding.split(u64::from(row))));
    History::founded(days, states).unfold(random.split(1), days, Pace(40), |categories, _, event| {
        let (bits, branch) = (event.split(1), 8 + scale(event.split(2).high(), 24));
        let kind = scale(event.high(), 100);
        let Some(row) = categories.any(event.split(0), |row, _| kind < 30 || is_leaf(row)) else {
            return Step::Nothing;
        };
        let category = categories.newest(row).state;
        match kind {
            0..30 => Step::Update(row, Category { noun: names::pick(&NOUNS, bits.high()), ..category }),
            30..60 => Step::Update(row, Category { parent: Some(branch), ..category }),
            60..75 => Step::Update(row, Category { is_active: !category.is_active, ..category }),
            75..90 => Step::Insert(Category::leaf(branch, bits)),
            _ => Step::Delete(row),
        }
    })
}
