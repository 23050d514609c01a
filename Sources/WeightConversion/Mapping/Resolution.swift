/// Chooses, for every tensor of one side, the tensors of the other side that hold it, by what speaks for each besides its
/// elements. Nothing is guessed: where several are left, they must hand on the same values, or the tensor stays ambiguous.
struct Resolution {
    /// The side whose tensors are looked for.
    enum Side: Sendable {
        case state, graph
    }

    enum Choice: Sendable {
        case candidates([Candidate])
        /// Candidates of which nothing tells which it is.
        case ambiguous([Candidate])
        case none
    }

    private(set) var choices: [Choice]
    private let side: Side
    private let counts: [Int]
    private let filled: Set<Int>
    private let candidates: [Candidate]
    /// The best that any tensor has for one of the other side.
    private var bestEvidence: [Int: Evidence] = [:]
    private let values: (Candidate) throws -> [[Float]]

    /// - Parameters:
    ///   - counts: elements of each tensor of `side`.
    ///   - filled: tensors of `side` that are filled with one number.
    ///   - values: elements that the copies of a candidate would hand on.
    init(
        of side: Side, counts: [Int], filled: Set<Int>, _ candidates: [Candidate],
        values: @escaping (Candidate) throws -> [[Float]]
    ) throws {
        self.side = side
        self.counts = counts
        self.filled = filled
        self.candidates = candidates
        self.values = values
        choices = counts.map { _ in .none }
        for candidate in candidates {
            let other = candidate.other(than: side)
            bestEvidence[other] = max(bestEvidence[other] ?? candidate.evidence, candidate.evidence)
        }
        let grouped = Dictionary(grouping: candidates) { $0.position(on: side) }.sorted { $0.key < $1.key }
        for (item, candidates) in grouped { choices[item] = try choice(item, candidates, taken: []) }
        // What others have taken is no longer open to the ambiguous.
        var isChanged = true
        while isChanged {
            isChanged = false
            let taken = taken
            for (item, candidates) in grouped {
                guard case .ambiguous = choices[item] else { continue }
                let again = try choice(item, candidates, taken: taken)
                if case .candidates = again {
                    choices[item] = again
                    isChanged = true
                    break
                }
            }
        }
    }

    /// Tensors of the other side that were chosen.
    private var taken: Set<Int> {
        var taken: Set<Int> = []
        for case .candidates(let candidates) in choices { taken.formUnion(candidates.map { $0.other(than: side) }) }
        return taken
    }

    private func choice(_ item: Int, _ candidates: [Candidate], taken: Set<Int>) throws -> Choice {
        let whole = candidates.filter { $0.views(on: side).reduce(0) { $0 + $1.count } == counts[item] }
        if !whole.isEmpty { return try best(item, whole, taken) }
        // Parts: the larger first, as long as they do not overlap.
        var covered = [Bool](repeating: false, count: counts[item])
        var chosen: [Candidate] = []
        let parts = Dictionary(grouping: candidates) { $0.views(on: side) }
        let ordered = parts.sorted { left, right in
            let (a, b) = (left.key.reduce(0) { $0 + $1.count }, right.key.reduce(0) { $0 + $1.count })
            return a != b ? a > b : left.key[0].offset < right.key[0].offset
        }
        for (views, alternatives) in ordered {
            var marked = covered
            guard views.allSatisfy({ $0.mark(&marked) }) else { continue }
            guard case .candidates(let best) = try best(item, alternatives, taken) else {
                return .ambiguous(alternatives)
            }
            covered = marked
            chosen += best
        }
        return .candidates(chosen)
    }

    private func best(_ item: Int, _ candidates: [Candidate], _ taken: Set<Int>) throws -> Choice {
        // A tensor that is known to be another one is this one only as a tie, which random elements prove.
        var open = candidates.filter { !isClaimed($0) && !taken.contains($0.other(than: side)) }
        if open.isEmpty {
            if filled.contains(item) { return .none }
            open = candidates
        }
        let highest = open.map(\.evidence).max()!
        open = open.filter { $0.evidence == highest }
        if filled.contains(item), highest == .nearby(0), open.count > 1 || isSought(open[0]) {
            return .ambiguous(open)
        }
        if open.count == 1 { return .candidates(open) }
        let first = try values(open[0])
        let areSame = try open.dropFirst().allSatisfy { try values($0) == first }
        return areSame ? .candidates([open[0]]) : .ambiguous(open)
    }

    /// Whether more speaks for the other side's tensor being another one.
    private func isClaimed(_ candidate: Candidate) -> Bool {
        if candidate.isShared { return false }
        let best = bestEvidence[candidate.other(than: side)]!
        switch (best, candidate.evidence) {
        case (.nearby, _), (.module, .module): return false
        case (.module, _), (.folded, .nearby), (.folded, .module): return true
        case (.folded, _): return false
        case (.named, let own): return own != .named
        }
    }

    /// Whether another tensor of this side could be the other's as well.
    private func isSought(_ candidate: Candidate) -> Bool {
        let other = candidate.other(than: side)
        let own = candidate.position(on: side)
        return candidates.contains { $0.other(than: side) == other && $0.position(on: side) != own }
    }
}

extension Candidate {
    func position(on side: Resolution.Side) -> Int { side == .state ? state : graph }
    func other(than side: Resolution.Side) -> Int { side == .state ? graph : state }
    func views(on side: Resolution.Side) -> [StridedView] {
        copies.map { side == .state ? $0.state : $0.graph }
    }
}
