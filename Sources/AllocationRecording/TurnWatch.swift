// TurnWatch.swift: whether one thread writes alone, so that the others need not be asked what they are about to publish.
import CRecording

/// Whether the turn, which a thread must take before it writes, has changed hands.
struct TurnWatch {
    private var holder = TM_TURN_NOBODY
    private var takes: UInt64 = 0
    /// Rounds before it is tried again.
    private var resting = 0

    private static let longestRest = 16

    /// The ring of the thread that has the turn; what other threads claimed before they lost it is visible from now on. Nil: nobody has it,
    /// or several share it.
    mutating func writer(_ turn: UnsafeMutablePointer<tm_turn>) -> Int? {
        if resting > 0 {
            resting -= 1
            return nil
        }
        let takes = tm_load64(&turn.pointee.takes)
        let holder = tm_load64(&turn.pointee.holder)
        guard holder > TM_TURN_FIRST, let ring = Int(exactly: holder - TM_TURN_FIRST) else { return nil }
        if holder != self.holder || takes != self.takes {
            _ = tm_membarrier_global()
            (self.holder, self.takes) = (holder, takes)
        }
        return ring
    }

    /// Nobody has taken it since.
    func stands(_ turn: UnsafeMutablePointer<tm_turn>) -> Bool {
        tm_load64(&turn.pointee.holder) == holder && tm_load64(&turn.pointee.takes) == takes
    }

    /// Another thread is in the middle of an event: it is asked for a while.
    mutating func rest() { resting = Self.longestRest }
}
