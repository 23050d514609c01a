public import PrivacyAccounting

/// The most that all runs on one data set may spend together.
public struct DatasetBudget: Sendable, Hashable {
    public var epsilon: Double
    public var delta: Double
    public var accountant: PrivacyAccountant

    /// - Precondition: `epsilon` is not negative, `delta` lies strictly between 0 and 1.
    public init(epsilon: Double, delta: Double, accountant: PrivacyAccountant) {
        precondition(epsilon >= 0 && delta > 0 && delta < 1, "a budget is an epsilon at a delta")
        self.epsilon = epsilon
        self.delta = delta
        self.accountant = accountant
    }

    /// - Parameters:
    ///   - spent: the data set's other runs.
    ///   - planned: a run that is about to go on to its end.
    /// - Throws: `BudgetError` if together they would cost more, or protect different units, so that nobody can tell.
    func check(_ spent: [LedgerRun], and planned: PrivacyMechanism, dataset: String) throws(BudgetError) {
        if let other = spent.first(where: { $0.unit != planned.unit && $0.charged > 0 }) {
            throw BudgetError(
                description:
                    "data set '\(dataset)' has runs that protect \(other.unit), and this one protects \(planned.unit): a budget cannot add them up; give each unit a --dataset-id of its own"
            )
        }
        let before = spent.map(\.event)
        func total(_ steps: Int) -> Double {
            accountant.epsilon(of: before + [planned.event(steps: steps)], delta: delta).epsilon
        }
        let whole = total(planned.steps)
        guard whole > epsilon else { return }
        var (fits, exceeds) = (0, planned.steps)
        let already = accountant.epsilon(of: before, delta: delta).epsilon
        if already > epsilon || !planned.restarts.isEmpty { exceeds = 0 }
        while exceeds - fits > 1 {
            let middle = (fits + exceeds) / 2
            if total(middle) > epsilon { exceeds = middle } else { fits = middle }
        }
        throw BudgetError(
            description:
                "data set '\(dataset)' has spent epsilon \(already) of its budget of \(epsilon) at delta \(delta), and this run would bring it to \(whole); "
                + (fits > 0
                    ? "\(fits) of its \(planned.steps) steps would fit: take fewer, or more noise"
                    : "not one of its steps would fit"))
    }
}

/// A run that would cost more than its data set has left.
public struct BudgetError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String
}
