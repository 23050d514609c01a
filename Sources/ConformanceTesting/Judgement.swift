/// What a test's outputs are compared by.
public enum Judgement: Hashable, Sendable {
    /// Every element, within the tolerances that the test asks for, or an absolute one if that is larger.
    case elements(absolute: Double)
    /// Types and shapes alone: the elements are random.
    case shapes

    /// As the test itself asks.
    public static let strict = Judgement.elements(absolute: 0)
}
