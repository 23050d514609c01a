import ArgumentParser
struct CheckCommand: ParsableCommand { static let configuration = CommandConfiguration(commandName: "check") }
struct TrainCommand: ParsableCommand { static let configuration = CommandConfiguration(commandName: "train") }
struct EvaluateCommand: ParsableCommand { static let configuration = CommandConfiguration(commandName: "evaluate") }
struct InspectCommand: ParsableCommand { static let configuration = CommandConfiguration(commandName: "inspect") }
