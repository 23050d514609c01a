public import TensorGraph

/// What one node took in one run.
public struct NodeTiming: Sendable {
    public var operation: String
    public var origin: Origin
    /// Types of the inputs.
    public var types: [String]
    /// Seconds since the run began.
    public var start: Double
    public var seconds: Double
    /// Floating-point operations, as far as the operation declares them.
    public var operationCount: Double
    /// Bytes of inputs and outputs together.
    public var byteCount: Int
}
