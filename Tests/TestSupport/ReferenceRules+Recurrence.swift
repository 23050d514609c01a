import Kernels
import Operators
import TensorGraph

/// The recurrent cells of ONNX, written element by element from the formulas in its operator reference.
func recurrence(_ operation: Recurrence, _ shapes: [[Int]]) -> ReferenceRule {
    let (sequences, steps, hidden) = (shapes[0][0], shapes[0][1], shapes[1][1])
    let width = shapes[0][2]
    let order = RecurrentOperand.allCases.filter(operation.operands.contains)
    return { values in
        func operand(_ which: RecurrentOperand) -> [Double]? { order.firstIndex(of: which).map { values[2 + $0] } }
        var gates = [Double](repeating: 0, count: sequences * steps * width)
        var output = [Double](repeating: 0, count: sequences * steps * hidden)
        var (cells, candidates) = (output, output)
        var (lastHidden, lastCell): ([Double], [Double]) = ([], [])
        for sequence in 0..<sequences {
            func initial(_ which: RecurrentOperand) -> [Double] {
                operand(which).map { Array($0[sequence * hidden..<(sequence + 1) * hidden]) }
                    ?? [Double](repeating: 0, count: hidden)
            }
            var (h, c) = (initial(.hidden), initial(.cell))
            let times = 0..<(operand(.lengths).map { Int($0[sequence]) } ?? steps)
            for time in operation.isReversed ? Array(times.reversed()) : Array(times) {
                let row = sequence * steps + time
                let before = h
                func recurrent(_ gate: Int, _ j: Int, _ state: [Double]) -> Double {
                    (0..<hidden).reduce(0) { $0 + values[1][((gate * hidden) + j) * hidden + $1] * state[$1] }
                }
                func projection(_ gate: Int, _ j: Int) -> Double { values[0][row * width + gate * hidden + j] }
                switch operation.cell {
                case .lstm(let cell):
                    let (f, g, out) = (definition(cell.gate), definition(cell.candidate), definition(cell.output))
                    let p = operand(.peepholes) ?? [Double](repeating: 0, count: 3 * hidden)
                    for j in 0..<hidden {
                        func a(_ gate: Int) -> Double { projection(gate, j) + recurrent(gate, j, before) }
                        let input = f(a(0) + p[j] * c[j])
                        let forget = cell.couplesInputAndForget ? 1 - input : f(a(2) + p[2 * hidden + j] * c[j])
                        c[j] = forget * c[j] + input * g(a(3))
                        h[j] = f(a(1) + p[hidden + j] * c[j]) * out(c[j])
                        for gate in 0..<4 { gates[row * width + gate * hidden + j] = a(gate) }
                    }
                case .gru(let cell):
                    let (f, g) = (definition(cell.gate), definition(cell.candidate))
                    let bias = operand(.recurrentBias) ?? [Double](repeating: 0, count: 3 * hidden)
                    func a(_ gate: Int, _ j: Int) -> Double {
                        projection(gate, j) + recurrent(gate, j, before) + bias[gate * hidden + j]
                    }
                    let reset = (0..<hidden).map { f(a(1, $0)) }
                    for j in 0..<hidden {
                        var new = projection(2, j)
                        if cell.resetsBehindWeights {
                            candidates[row * hidden + j] = recurrent(2, j, before) + bias[2 * hidden + j]
                            new += reset[j] * candidates[row * hidden + j]
                        } else {
                            candidates[row * hidden + j] = reset[j] * before[j]
                            new += (0..<hidden).reduce(0) {
                                $0 + operand(.candidateWeights)![j * hidden + $1] * reset[$1] * before[$1]
                            }
                        }
                        let update = f(a(0, j))
                        h[j] = (1 - update) * g(new) + update * before[j]
                    }
                case .elman(let activation):
                    for j in 0..<hidden { h[j] = definition(activation)(projection(0, j) + recurrent(0, j, before)) }
                }
                for j in 0..<hidden {
                    output[row * hidden + j] = h[j]
                    cells[row * hidden + j] = c[j]
                }
            }
            lastHidden += h
            lastCell += c
        }
        switch operation.cell {
        case .lstm: return [gates, output, lastHidden, lastCell, cells]
        case .gru: return [gates, output, lastHidden, candidates]
        case .elman: return [gates, output, lastHidden]
        }
    }
}

private func definition(_ activation: RecurrentActivation) -> (Double) -> Double {
    let function = unaryDefinition(Unary(activation.function))
    let bound = activation.clip.map(Double.init) ?? .infinity
    return { x in
        Double(activation.outputScale) * function(Double(activation.inputScale) * max(-bound, min(bound, x)))
    }
}
