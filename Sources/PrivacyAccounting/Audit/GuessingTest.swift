import Glibc

/// What guesses about canaries prove of the mechanism that they were part of (Steinke, Nasr and Jagielski, "Privacy
/// Auditing with One (1) Training Run", 2023).
///
/// Each of `canaries` records was put into the data with probability 1/2, independently. From what one run released,
/// `guesses` of them were guessed to be in or out, and `correct` guesses were right; on the others nothing was said.
public struct GuessingTest: Hashable, Sendable {
    public let canaries: Int
    public let guesses: Int
    public let correct: Int

    /// - Precondition: 0 <= `correct` <= `guesses` <= `canaries`.
    public init(canaries: Int, guesses: Int, correct: Int) {
        precondition(0 <= correct && correct <= guesses && guesses <= canaries, "guesses are about canaries")
        self.canaries = canaries
        self.guesses = guesses
        self.correct = correct
    }

    /// An upper bound of the probability that an (epsilon, delta)-private mechanism lets so many guesses be right.
    ///
    /// For delta = 0 the right guesses are at most as many as those of coins with bias e^epsilon / (1 + e^epsilon); delta
    /// adds 2 m delta max_i P[v - i <= W < v] / i, W being the number of such coins' heads (their Theorem 5.2).
    /// - Precondition: neither argument is negative.
    public func probability(epsilon: Double, delta: Double) -> Double {
        precondition(epsilon >= 0 && delta >= 0, "a guarantee has numbers that are not negative")
        if correct == 0 { return 1 }
        let bias = -log1p(exp(-epsilon))
        let rest = bias - epsilon
        func mass(_ heads: Int) -> Double {
            exp(logChoices(guesses, heads) + Double(heads) * bias + Double(guesses - heads) * rest)
        }
        let tail = (correct...guesses).reduce(0) { $0 + mass($1) }
        guard delta > 0 else { return min(1, tail) }
        var (below, largest) = (0.0, 0.0)
        for count in 1...correct {
            below += mass(correct - count)
            largest = max(largest, below / Double(count))
        }
        return min(1, tail + 2 * Double(canaries) * delta * largest)
    }

    /// The epsilon below which guesses would have been this good with a probability of at most 1 - `confidence`; 0 if
    /// nothing is shown.
    ///
    /// - Precondition: `delta` is not negative, `confidence` lies strictly between 0 and 1.
    public func epsilonLowerBound(delta: Double, confidence: Double) -> Double {
        precondition(confidence > 0 && confidence < 1, "a confidence lies strictly between 0 and 1")
        func isRefuted(_ epsilon: Double) -> Bool { probability(epsilon: epsilon, delta: delta) <= 1 - confidence }
        guard isRefuted(0) else { return 0 }
        var (refuted, open) = (0.0, 1.0)
        while isRefuted(open) { (refuted, open) = (open, 2 * open) }
        while open - refuted > 1e-9 * open {
            let middle = (refuted + open) / 2
            if isRefuted(middle) { refuted = middle } else { open = middle }
        }
        return refuted
    }

    /// log of n over k.
    private func logChoices(_ n: Int, _ k: Int) -> Double {
        lgamma(Double(n + 1)) - lgamma(Double(k + 1)) - lgamma(Double(n - k + 1))
    }
}

/// Guesses by scores, of which the most telling number is chosen without spoiling the confidence.
public struct ScoredGuesses: Sendable {
    /// The test with the largest lower bound.
    public let test: GuessingTest
    /// Holds with the confidence asked for, however many tests were tried.
    public let epsilonLowerBound: Double

    /// Fewer guesses show nothing even if all are right.
    private static let fewestGuesses = 8

    /// - Parameters:
    ///   - scores: one per canary; the higher, the likelier it was put in.
    ///   - isIncluded: whether it was.
    /// - Precondition: both are equally long.
    public init(scores: [Double], isIncluded: [Bool], delta: Double, confidence: Double) {
        precondition(scores.count == isIncluded.count, "one score per canary")
        let order = scores.indices.sorted { scores[$0] > scores[$1] }
        let count = order.count
        // Sampling makes presence easier to see than absence, so both are tried: guessing presence only, and both.
        let plans = (1...7).flatMap { halvings in
            [false, true].map { (present: count >> halvings, guessesAbsence: $0) }
        }.filter { ($0.guessesAbsence ? 2 : 1) * $0.present >= Self.fewestGuesses }
        // One chance of error, shared out among all tests.
        let each = 1 - (1 - confidence) / Double(max(1, plans.count))
        var best = (test: GuessingTest(canaries: count, guesses: 0, correct: 0), bound: 0.0)
        for plan in plans {
            let present = order.prefix(plan.present)
            let absent = plan.guessesAbsence ? order.suffix(plan.present) : []
            let test = GuessingTest(
                canaries: count, guesses: present.count + absent.count,
                correct: present.count { isIncluded[$0] } + absent.count { !isIncluded[$0] })
            let bound = test.epsilonLowerBound(delta: delta, confidence: each)
            if bound > best.bound || best.test.guesses == 0 { best = (test, bound) }
        }
        test = best.test
        epsilonLowerBound = best.bound
    }
}
