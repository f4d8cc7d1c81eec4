//! What one render may use. Templates come with checkpoints and are untrusted.

use super::value::{Fault, Res};
use crate::memory;
use std::time::{Duration, Instant};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Limits {
    pub fuel: u64,
    pub output_bytes_max: u64,
    pub memory_bytes_max: u64,
    pub time_ms_max: u64,
}

/// Of calls, blocks and expressions inside each other. Each takes some hundred bytes of stack.
const DEPTH_MAX: u32 = 700;
/// Steps between two looks at clock and memory. What takes more than a few bytes in one step asks
/// for it by `room` or `spend`.
const LOOK_EVERY: u64 = 64;
/// Bytes handled that cost as much as one step.
const BYTES_PER_STEP: usize = 64;

pub struct Budget {
    limits: Limits,
    fuel: u64,
    next_look: u64,
    deadline: Instant,
    held_at_start: i64,
    depth: u32,
}

impl Budget {
    pub fn new(limits: Limits) -> Budget {
        Budget {
            limits,
            fuel: limits.fuel,
            next_look: limits.fuel.saturating_sub(LOOK_EVERY),
            deadline: Instant::now() + Duration::from_millis(limits.time_ms_max),
            held_at_start: memory::held(),
            depth: 0,
        }
    }

    /// One step.
    pub fn step(&mut self) -> Res<()> {
        self.steps(1)
    }

    pub fn steps(&mut self, count: u64) -> Res<()> {
        if self.fuel < count {
            return Err(Fault::Limit(format!("more than {} steps", self.limits.fuel)));
        }
        self.fuel -= count;
        if self.fuel <= self.next_look {
            self.next_look = self.fuel.saturating_sub(LOOK_EVERY);
            return self.look(0);
        }
        Ok(())
    }

    fn look(&self, bytes: usize) -> Res<()> {
        let held = memory::held().wrapping_sub(self.held_at_start).max(0) as u64;
        if held.saturating_add(bytes as u64) > self.limits.memory_bytes_max {
            let most = self.limits.memory_bytes_max;
            return Err(Fault::Limit(format!("more than {most} bytes of memory")));
        }
        if Instant::now() > self.deadline {
            let most = self.limits.time_ms_max;
            return Err(Fault::Limit(format!("more than {most} ms")));
        }
        Ok(())
    }

    /// Before `bytes` of text or list are made or walked.
    pub fn spend(&mut self, bytes: usize) -> Res<()> {
        if bytes as u64 > self.limits.output_bytes_max.saturating_mul(2) {
            return self.too_long();
        }
        if bytes >= 4096 {
            self.look(bytes)?;
        }
        self.steps((bytes / BYTES_PER_STEP) as u64 + 1)
    }

    /// Before `more` bytes are added to a text of `size`.
    pub fn room(&mut self, size: usize, more: usize) -> Res<()> {
        if (size as u64).saturating_add(more as u64) > self.limits.output_bytes_max {
            return self.too_long();
        }
        self.spend(more)
    }

    fn too_long(&self) -> Res<()> {
        let most = self.limits.output_bytes_max;
        Err(Fault::Limit(format!("a text of more than {most} bytes")))
    }

    pub fn enter(&mut self) -> Res<()> {
        if self.depth >= DEPTH_MAX {
            return Err(Fault::Limit(format!("nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        Ok(())
    }
    pub fn leave(&mut self) {
        self.depth -= 1;
    }
}
