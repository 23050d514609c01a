import COnnxProto

/// Which local function calls which; refuses recursion, and functions that inlining would blow up.
struct FunctionCalls {
    /// Nodes that a model may have once its functions are inlined. A chain of functions that each call the next twice
    /// doubles with every one.
    static let expansionLimit = 4_000_000

    private let file: String
    private var callees: [NameCheck.Operator: [NameCheck.Operator]] = [:]

    init(file: String) {
        self.file = file
    }

    /// Notes a function and the operators of its nodes.
    mutating func add(
        _ function: UnsafePointer<Onnx__FunctionProto>, calling operators: [NameCheck.Operator]
    ) throws(ONNXFormatError) {
        let message = function.pointee
        let key = NameCheck.Operator(
            domain: standardised(text(message.domain)), name: text(message.name), overload: text(message.overload))
        guard !key.name.isEmpty else { throw malformed("a local function has no name") }
        guard callees.updateValue(operators, forKey: key) == nil else {
            throw malformed("local function '\(key.name)' is defined twice")
        }
    }

    /// Counts the nodes that `operators` become when every call is replaced by its function's body.
    func checkExpansion(of operators: [NameCheck.Operator]) throws(ONNXFormatError) {
        var sizes: [NameCheck.Operator: Int] = [:]
        for function in callees.keys where sizes[function] == nil { try measure(from: function, &sizes) }
        guard size(of: operators, sizes) <= Self.expansionLimit else {
            throw malformed("inlining the local functions would give over \(Self.expansionLimit) nodes")
        }
    }

    /// Depth-first with a stack of its own: a chain of calls may be as long as the file has functions.
    private func measure(
        from start: NameCheck.Operator, _ sizes: inout [NameCheck.Operator: Int]
    ) throws(ONNXFormatError) {
        var path = [(function: start, next: 0)]
        var onPath: Set = [start]
        while let (function, next) = path.last {
            let body = callees[function]!
            guard next < body.count else {
                sizes[function] = size(of: body, sizes)
                onPath.remove(function)
                path.removeLast()
                continue
            }
            path[path.count - 1].next += 1
            let callee = body[next]
            guard callees[callee] != nil, sizes[callee] == nil else { continue }
            guard onPath.insert(callee).inserted else {
                throw malformed("local function '\(callee.name)' calls itself")
            }
            path.append((callee, 0))
        }
    }

    private func size(of operators: [NameCheck.Operator], _ sizes: [NameCheck.Operator: Int]) -> Int {
        operators.reduce(0) { min($0 + (sizes[$1] ?? 1), Self.expansionLimit + 1) }
    }

    private func malformed(_ message: String) -> ONNXFormatError {
        ONNXFormatError(.malformed, message, at: file)
    }
}
