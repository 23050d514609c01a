import Kernels
public import TensorGraph

extension Recurrence {
    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let shape = shape(inputs)
        let places = RecurrentPlaces(self)
        let work = 2 * Double(inputs[0].count) * Double(shape.hidden)
        switch cell {
        case .lstm(let cell):
            return Kernel(scratchBytes: 4 * lstmScratchCount(shape, threads: threads), operationCount: work) {
                arguments in
                lstm(
                    cell, shape, places.lstm(arguments), projections: arguments.input(0), gates: arguments.output(0),
                    output: arguments.output(1), cells: arguments.output(4), lastHidden: arguments.output(2),
                    lastCell: arguments.output(3), scratch: arguments.floatScratch, pool: arguments.pool)
            }
        case .gru(let cell):
            return Kernel(scratchBytes: 4 * gruScratchCount(shape, threads: threads), operationCount: work) {
                arguments in
                gru(
                    cell, shape, places.gru(arguments), projections: arguments.input(0), gates: arguments.output(0),
                    output: arguments.output(1), candidates: arguments.output(3), lastHidden: arguments.output(2),
                    scratch: arguments.floatScratch, pool: arguments.pool)
            }
        case .elman(let activation):
            return Kernel(scratchBytes: 4 * elmanScratchCount(shape, threads: threads), operationCount: work) {
                arguments in
                elman(
                    activation, shape, places.elman(arguments), projections: arguments.input(0),
                    gates: arguments.output(0), output: arguments.output(1), lastHidden: arguments.output(2),
                    scratch: arguments.floatScratch, pool: arguments.pool)
            }
        }
    }
}

extension RecurrenceGradient {
    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let shape = recurrence.shape(inputs)
        let places = RecurrentPlaces(recurrence)
        let work = 2 * Double(inputs[0].count) * Double(shape.hidden)
        let kept = 2 + recurrence.operands.count
        let (output, hidden, last) = (place(of: .output), place(of: .hidden), place(of: .cell))
        switch recurrence.cell {
        case .lstm(let cell):
            return Kernel(scratchBytes: 4 * lstmScratchCount(shape, threads: threads), operationCount: work) {
                arguments in
                lstmGradient(
                    cell, shape, places.lstm(arguments), gates: arguments.input(0), cells: arguments.input(kept),
                    gradients: LSTMOutputGradients(
                        output: output.map { arguments.input($0) }, lastHidden: hidden.map { arguments.input($0) },
                        lastCell: last.map { arguments.input($0) }),
                    projections: arguments.output(0), hidden: arguments.output(1), cell: arguments.output(2),
                    scratch: arguments.floatScratch, pool: arguments.pool)
            }
        case .gru(let cell):
            return Kernel(scratchBytes: 4 * gruScratchCount(shape, threads: threads), operationCount: work) {
                arguments in
                gruGradient(
                    cell, shape, places.gru(arguments), gates: arguments.input(0), states: arguments.input(kept),
                    candidates: arguments.input(kept + 1), output: output.map { arguments.input($0) },
                    lastHidden: hidden.map { arguments.input($0) }, projections: arguments.output(0),
                    recurrent: cell.resetsBehindWeights ? arguments.output(2) : nil, hidden: arguments.output(1),
                    scratch: arguments.floatScratch, pool: arguments.pool)
            }
        case .elman(let activation):
            return Kernel(scratchBytes: 4 * elmanScratchCount(shape, threads: threads), operationCount: work) {
                arguments in
                elmanGradient(
                    activation, shape, places.elman(arguments), gates: arguments.input(0),
                    output: output.map { arguments.input($0) }, lastHidden: hidden.map { arguments.input($0) },
                    projections: arguments.output(0), hidden: arguments.output(1), scratch: arguments.floatScratch,
                    pool: arguments.pool)
            }
        }
    }
}

/// Where the kernels find the operands of a recurrence among the inputs of its node, or of its gradient's.
private struct RecurrentPlaces {
    private let places: [RecurrentOperand: Int]

    init(_ recurrence: Recurrence) {
        places = Dictionary(uniqueKeysWithValues: recurrence.operands.map { ($0, recurrence.index(of: $0)!) })
    }

    private func input<Element>(_ operand: RecurrentOperand, _ arguments: KernelArguments) -> UnsafePointer<Element>? {
        places[operand].map { arguments.input($0) }
    }

    func lstm(_ arguments: KernelArguments) -> LSTMInputs {
        LSTMInputs(
            weights: arguments.input(1), lengths: input(.lengths, arguments), hidden: input(.hidden, arguments),
            cell: input(.cell, arguments), peepholes: input(.peepholes, arguments))
    }

    func gru(_ arguments: KernelArguments) -> GRUInputs {
        GRUInputs(
            weights: arguments.input(1), candidateWeights: input(.candidateWeights, arguments),
            bias: input(.recurrentBias, arguments), lengths: input(.lengths, arguments),
            hidden: input(.hidden, arguments))
    }

    func elman(_ arguments: KernelArguments) -> ElmanInputs {
        ElmanInputs(
            weights: arguments.input(1), lengths: input(.lengths, arguments), hidden: input(.hidden, arguments))
    }
}
