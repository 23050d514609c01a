/// Why a graph could not be built, checked or differentiated.
public struct GraphError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// The model breaks a rule of its operators: wrong rank, sizes that do not fit, a missing attribute.
        case invalid
        /// The model is well-formed, but this operator or this use of it has no implementation.
        case unsupported
        /// Samples of a batch influence each other, so no per-sample gradient exists.
        case mixesSamples
    }

    public var kind: Kind
    /// What is wrong and what to do about it, without the place.
    public var message: String
    /// The node, input or tensor concerned.
    public var place: String?

    public init(_ kind: Kind, _ message: String, at place: String? = nil) {
        self.kind = kind
        self.message = message
        self.place = place
    }

    public static func invalid(_ message: String) -> GraphError { GraphError(.invalid, message) }
    public static func unsupported(_ message: String) -> GraphError { GraphError(.unsupported, message) }

    /// The same error with its place, unless it already has one.
    public func at(_ place: @autoclosure () -> String) -> GraphError {
        var copy = self
        if copy.place == nil { copy.place = place() }
        return copy
    }

    public var description: String { place.map { "\($0): \(message)" } ?? message }
}
