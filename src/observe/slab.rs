//! Values under numbers that stay the same, reused once given back.

/// A growing set of slots; the caller bounds how many are in use.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T: Default> Slab<T> {
    /// A slot that is not in use. What was left in it is still there: the caller resets it.
    pub fn take(&mut self) -> u32 {
        if let Some(number) = self.free.pop() {
            return number;
        }
        self.slots.push(T::default());
        // Nothing is free now, and giving back must not allocate.
        self.free.reserve(self.slots.len());
        // A flow has at most one slot, and flow numbers are u32.
        (self.slots.len() as u32).saturating_sub(1)
    }

    /// Gives a slot back.
    pub fn give_back(&mut self, number: u32) {
        self.free.push(number);
    }

    /// The value in a slot.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.slots.get(number as usize)
    }

    /// The value in a slot.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.slots.get_mut(number as usize)
    }

    /// Slots in use.
    pub fn in_use(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }
}
