import PrivacyAccounting
import Testing

@Suite struct GuessingTestTests {
    @Test func probabilitiesAreThoseOfBinomials() {
        for row in rows(goldenGuesses) {
            let test = GuessingTest(canaries: Int(row[0]), guesses: Int(row[1]), correct: Int(row[2]))
            let found = test.probability(epsilon: row[3], delta: row[4])
            #expect(abs(found - row[5]) <= 1e-8 * row[5], "\(row), found \(found)")
        }
    }

    @Test func theBoundIsWhereTheProbabilityIsWhatConfidenceLeaves() {
        let test = GuessingTest(canaries: 1000, guesses: 300, correct: 270)
        let bound = test.epsilonLowerBound(delta: 1e-6, confidence: 0.95)
        #expect(abs(test.probability(epsilon: bound, delta: 1e-6) - 0.05) < 1e-6)
        #expect(test.epsilonLowerBound(delta: 1e-6, confidence: 0.99) < bound)
        #expect(GuessingTest(canaries: 9, guesses: 0, correct: 0).epsilonLowerBound(delta: 0, confidence: 0.95) == 0)
        #expect(GuessingTest(canaries: 9, guesses: 9, correct: 4).epsilonLowerBound(delta: 0, confidence: 0.95) == 0)
    }

    /// Randomized response is as bad as epsilon allows: the bound comes near epsilon, and exceeds it in one run of twenty
    /// at most.
    @Test func randomizedResponseIsBoundedClosely() {
        var generator = SystemRandomNumberGenerator()
        let (epsilon, canaries) = (1.5, 2000)
        let truth = 1 / (1 + 1 / 4.4816890703)
        var (above, sum) = (0, 0.0)
        for _ in 0..<200 {
            let included = (0..<canaries).map { _ in Bool.random(using: &generator) }
            let scores = included.map { isIncluded in
                (Double.random(in: 0..<1, using: &generator) < truth) == isIncluded
                    ? Double.random(in: 1..<2, using: &generator) : Double.random(in: 0..<1, using: &generator)
            }
            let guesses = ScoredGuesses(scores: scores, isIncluded: included, delta: 0, confidence: 0.95)
            if guesses.epsilonLowerBound > epsilon { above += 1 }
            sum += guesses.epsilonLowerBound / 200
        }
        // 10 expected at most; 25 or more with a probability below 10^-4.
        #expect(above < 25)
        #expect(sum > 1.2 && sum < epsilon)
    }
}
