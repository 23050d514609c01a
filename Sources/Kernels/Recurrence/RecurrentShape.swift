/// Sizes and order of a recurrence over sequences stored as [sequences, steps, features].
public struct RecurrentShape: Hashable, Sendable {
    public var sequences: Int
    public var steps: Int
    /// Features of the hidden state.
    public var hidden: Int
    /// Whether the last step is computed first.
    public var isReversed: Bool

    public init(sequences: Int, steps: Int, hidden: Int, isReversed: Bool) {
        self.sequences = sequences
        self.steps = steps
        self.hidden = hidden
        self.isReversed = isReversed
    }

    /// Floats between rows that are copied next to each other for a product: rows a power of two apart would compete for
    /// the same places of a cache.
    func spacing(_ features: Int) -> Int { features + 16 }

    /// Which time step is computed as number `index`.
    func time(_ index: Int) -> Int { isReversed ? steps - 1 - index : index }

    /// Whether no earlier step of a sequence of `length` steps is computed before time `time`.
    func isFirst(_ time: Int, length: Int) -> Bool { time == (isReversed ? length - 1 : 0) }

    /// The time step computed before `time`.
    func before(_ time: Int) -> Int { isReversed ? time + 1 : time - 1 }

    /// Steps of one sequence: those in `lengths`, or all that are stored. Nil for a length that cannot be.
    private func givenLength(_ sequence: Int, _ lengths: UnsafePointer<Int64>?) -> Int? {
        guard let lengths else { return steps }
        return Int(exactly: lengths[sequence]).flatMap { 0...steps ~= $0 ? $0 : nil }
    }

    /// Steps of one sequence that are computed; none of a sequence whose length cannot be.
    func length(_ sequence: Int, _ lengths: UnsafePointer<Int64>?) -> Int { givenLength(sequence, lengths) ?? 0 }

    /// What stands behind the end of a sequence: zero, or NaN if its length cannot be.
    func filling(_ sequence: Int, _ lengths: UnsafePointer<Int64>?) -> Float {
        givenLength(sequence, lengths) == nil ? .nan : 0
    }

    /// Makes the last states [N, H] of sequences in `rows` NaN where a length cannot be, so that no loss counts.
    func invalidate(
        _ states: UnsafeMutablePointer<Float>, rows: Range<Int>, lengths: UnsafePointer<Int64>?
    ) {
        for sequence in rows where givenLength(sequence, lengths) == nil {
            (states + sequence * hidden).update(repeating: .nan, count: hidden)
        }
    }
}

/// States before each step: out[n, t] is the state from which step t of sequence n starts, for states [N, T, H] after each
/// step and initial states [N, H], zero where absent. Zero from the end of a sequence on.
public func previousStates(
    _ states: UnsafePointer<Float>, initial: UnsafePointer<Float>?, lengths: UnsafePointer<Int64>?,
    _ shape: RecurrentShape, into out: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let hidden = shape.hidden
    pool.forRanges(shape.sequences, grain: max(1, elementGrain / max(1, shape.steps * hidden))) { range, _ in
        for sequence in range {
            let length = shape.length(sequence, lengths)
            for time in 0..<shape.steps {
                let at = (sequence * shape.steps + time) * hidden
                if time < length, !shape.isFirst(time, length: length) {
                    (out + at).update(
                        from: states + (sequence * shape.steps + shape.before(time)) * hidden, count: hidden)
                } else if time < length, let initial {
                    (out + at).update(from: initial + sequence * hidden, count: hidden)
                } else {
                    (out + at).update(repeating: 0, count: hidden)
                }
            }
        }
    }
}
