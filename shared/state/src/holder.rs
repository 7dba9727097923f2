//! Who holds a claim. On the holder's own machine death can be seen at once, so that a restart after a crash need not
//! wait for the claim to expire; elsewhere only the heartbeat tells.

use std::fmt;

/// A process: `host/pid/start`, where `start` tells a process from a later one of the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(String);

impl Holder {
    /// The process this runs in.
    pub fn this_process() -> Self {
        let pid = std::process::id();
        Self(format!("{}/{pid}/{}", host(), start_time(pid).unwrap_or_default()))
    }

    /// An instance of a service that runs on nobody knows which machine: only its heartbeat tells whether it lives.
    pub fn instance_of(service: &str) -> Self {
        Self(format!("{}/{}", service.replace('/', "-"), uuid::Uuid::now_v7().simple()))
    }

    /// The holder as text, as claims record it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the process that `holder` names is known to have died. `false` where that can't be known.
    pub fn is_dead(holder: &str) -> bool {
        let mut parts = holder.split('/');
        let (Some(name), Some(pid), Some(start)) = (parts.next(), parts.next(), parts.next()) else { return false };
        let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else { return false };
        // A start time of 0 was recorded where the system does not tell it: nothing can be said then.
        name == host() && start != 0 && start_time(pid) != Some(start)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn host() -> String {
    let name = rustix::system::uname();
    // Containers share a kernel and may share a name, and each counts processes from one; the boot id plus the process
    // namespace tell them apart.
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let digits: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{}-{digits}", name.nodename().to_string_lossy().replace('/', "-"))
}

/// When a process started, in clock ticks since boot; `None` if there is no such process (a zombie counts as none).
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may hold spaces and parentheses; fields are counted from its last parenthesis.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_process_is_not_dead_and_another_start_time_is() {
        let me = Holder::this_process();
        assert!(!Holder::is_dead(me.as_str()));
        let (head, start) = me.as_str().rsplit_once('/').unwrap();
        let earlier = start.parse::<u64>().unwrap() + 1;
        assert!(Holder::is_dead(&format!("{head}/{earlier}")));
    }

    #[test]
    fn nothing_is_said_of_another_machine() {
        assert!(!Holder::is_dead("elsewhere-1/1/1"));
        assert!(!Holder::is_dead("garbage"));
        assert!(!Holder::is_dead(Holder::instance_of("publish").as_str()));
    }
}
