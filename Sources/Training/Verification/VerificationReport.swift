/// What comparing a model's private gradients with other ways to them has shown.
public struct VerificationReport: Sendable {
    /// One comparison: the largest relative difference found, and what is allowed.
    public struct Comparison: Sendable, Hashable {
        public let name: String
        public let tolerance: Double
        public private(set) var error = 0.0
        /// Where the largest difference is: a row, or a parameter.
        public private(set) var place: String?
        /// Values compared.
        public private(set) var count = 0

        init(_ name: String, tolerance: Double) {
            self.name = name
            self.tolerance = tolerance
        }

        public var passes: Bool { error <= tolerance }

        /// Takes in |value - expected| / scale; a value that is no number differs infinitely.
        mutating func compare(_ value: Double, _ expected: Double, scale: Double, at place: @autoclosure () -> String) {
            add(value == expected ? 0 : abs(value - expected) / max(scale, .leastNormalMagnitude), at: place())
        }

        mutating func add(_ difference: Double, at place: @autoclosure () -> String) {
            count += 1
            let difference = difference.isNaN ? .infinity : difference
            if difference > error || self.place == nil { (error, self.place) = (difference, place()) }
        }
    }

    /// Rows of the data that were used.
    public var samples = 0
    /// Rows left out since their loss is no finite number.
    public var nonFinite = 0
    /// Parameters, and those of them whose derivative finite differences can resolve and were tried.
    public var parameters = 0
    public var differentiated = 0
    public var comparisons: [Comparison] = []

    public var passes: Bool { comparisons.allSatisfy(\.passes) }
}
