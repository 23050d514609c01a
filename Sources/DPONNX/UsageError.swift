/// What was asked for contradicts itself or names something that is not there; nothing has been done.
public struct UsageError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}
