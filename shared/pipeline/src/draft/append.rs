//! An entry into a file that people write: nothing else in it changes.

use super::Entry;
use crate::error::Error;
use crate::pipeline::Pipeline;

/// The text of the pipeline file with one more table, at the end of its section `tables`. Comments and layout stay as they are.
///
/// The result is a pipeline file that can be read; what stands in the way of that is said otherwise.
pub fn append(file_name: &str, text: &str, entry: &Entry) -> Result<String, Error> {
    let lines: Vec<&str> = text.lines().collect();
    let named = |line: &&str| line.strip_prefix("tables:").is_some();
    let appended = match lines.iter().position(named) {
        None => {
            let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
            let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            format!("{text}{end}{gap}tables:\n{}", indented(&entry.text, 2))
        }
        Some(start) => {
            let rest = lines[start]["tables:".len()..].trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err(Error::Rejected(format!(
                    "{file_name}:{}: `tables` is written in one line; write each table on lines of its own, or put the entry \
                     there yourself",
                    start + 1
                )));
            }
            within(&lines, start, entry)
        }
    };
    let appended = if text.contains("\r\n") { appended.replace("\r\n", "\n").replace('\n', "\r\n") } else { appended };
    let read = Pipeline::parse(file_name, &appended)?;
    if read.tables.get(entry.name.as_str()).is_none() {
        return Err(Error::Rejected(format!(
            "{file_name} has no place for {}; put the entry there yourself",
            entry.name
        )));
    }
    Ok(appended)
}

/// Puts the entry behind the last line of the section that begins at `start`.
fn within(lines: &[&str], start: usize, entry: &Entry) -> String {
    let is_inside = |line: &&str| line.starts_with([' ', '\t']) && !line.trim().is_empty();
    let is_next = |line: &&str| !line.is_empty() && !line.starts_with([' ', '\t', '#']);
    let section = &lines[start + 1..];
    let until = section.iter().position(is_next).unwrap_or(section.len());
    // Comments and empty lines before the next section belong to that.
    let last = section[..until].iter().rposition(&is_inside).map_or(start, |found| start + 1 + found);
    let content = section[..until].iter().find(|line| is_inside(line) && !line.trim_start().starts_with('#'));
    let indent = content.map_or(2, |line| line.len() - line.trim_start().len());
    let mut made: Vec<String> = lines[..=last].iter().map(|line| (*line).to_owned()).collect();
    if last > start {
        made.push(String::new());
    }
    made.extend(indented(&entry.text, indent).lines().map(str::to_owned));
    made.extend(lines[last + 1..].iter().map(|line| (*line).to_owned()));
    made.join("\n") + "\n"
}

fn indented(text: &str, by: usize) -> String {
    let pad = " ".repeat(by);
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{pad}{line}\n") }).collect()
}
