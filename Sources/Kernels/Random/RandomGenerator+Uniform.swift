extension RandomGenerator {
    /// A uniform integer of 0..<`bound`, without bias (Lemire, "Fast Random Integer Generation in an Interval", 2019).
    ///
    /// - Precondition: `bound` is positive.
    public func uniform(below bound: UInt64) -> UInt64 {
        precondition(bound > 0, "there is no integer below 0")
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let surplus = (0 &- bound) % bound
            while product.low < surplus { product = next().multipliedFullWidth(by: bound) }
        }
        return product.high
    }

    /// 0..<`count` in uniformly random order, for epochs of training without privacy.
    public func permutation(of count: Int) -> [Int] {
        var order = Array(0..<count)
        shuffle(&order)
        return order
    }

    /// Puts `elements` into uniformly random order (Fisher and Yates).
    public func shuffle<Element>(_ elements: inout [Element]) {
        for last in stride(from: elements.count - 1, to: 0, by: -1) {
            elements.swapAt(last, Int(uniform(below: UInt64(last + 1))))
        }
    }
}
